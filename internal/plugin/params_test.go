package plugin

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("params", func() {
	const all = `"Action":"ssm:*","Resource":"*"`
	var door *environment.Door
	BeforeEach(func() {
		door = world.Open(ssm.New(ssm.Dependencies{Parameters: world.Services.Parameters}))
	})
	// as has the commands ask as a user with statements, by the environment as every client of AWS.
	as := func(statements ...string) *sdk.Client {
		GinkgoHelper()
		config := door.Config(environment.Region, statements...)
		credentials, err := config.Credentials.Retrieve(ctx)
		Expect(err).NotTo(HaveOccurred())
		bundle := filepath.Join(GinkgoT().TempDir(), "ca.crt")
		Expect(os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: door.Certificate().Raw}), 0o600)).To(Succeed())
		for name, value := range map[string]string{
			"AWS_ENDPOINT_URL": door.URL, "AWS_CA_BUNDLE": bundle, "AWS_REGION": environment.Region, "AWS_CONFIG_FILE": "/dev/null",
			"AWS_ACCESS_KEY_ID": credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": credentials.SecretAccessKey, "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		} {
			GinkgoT().Setenv(name, value)
		}
		return sdk.NewFromConfig(config)
	}
	file := func(name, text string) string {
		GinkgoHelper()
		path := filepath.Join(GinkgoT().TempDir(), name)
		Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
		return path
	}
	get := func(api *sdk.Client, name string) *types.Parameter {
		GinkgoHelper()
		var found *types.Parameter
		Eventually(func() error {
			out, err := api.GetParameter(ctx, &sdk.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
			if err == nil {
				found = out.Parameter
			}
			return err
		}).Should(Succeed(), name)
		return found
	}
	put := func(api *sdk.Client, name, value string, kind types.ParameterType) {
		GinkgoHelper()
		_, err := api.PutParameter(ctx, &sdk.PutParameterInput{Name: &name, Value: &value, Type: kind})
		Expect(err).NotTo(HaveOccurred())
		get(api, name)
	}
	absent := func(api *sdk.Client, name string) {
		GinkgoHelper()
		_, err := api.GetParameter(ctx, &sdk.GetParameterInput{Name: &name})
		Expect(err).To(MatchError(ContainSubstring("ParameterNotFound")))
	}

	Describe("import", func() {
		It("puts what a YAML file has below the path, as the types that it is of", func() {
			api := as(all)
			settings := file("settings.yaml", "log-level: info\ndb:\n  host: db.example.com\n  port: 5432\n  password: canary\n  replicas: [a, b]\n")
			out, errs, err := run("params", "import", settings, "--path", "/shop/prod", "--secure=**/password")
			Expect(err).NotTo(HaveOccurred(), errs)
			Expect(errs).To(ContainSubstring("5 created, 0 updated, 0 unchanged"))
			Expect(out).To(MatchRegexp(`(?m)^create +/shop/prod/db/host +String +- +db.example.com$`))
			Expect(out).To(MatchRegexp(`(?m)^create +/shop/prod/db/password +SecureString +- +-$`))
			Expect(out + errs).NotTo(ContainSubstring("canary"))
			for name, want := range map[string]struct {
				value string
				kind  types.ParameterType
			}{
				"/shop/prod/log-level": {"info", types.ParameterTypeString}, "/shop/prod/db/port": {"5432", types.ParameterTypeString},
				"/shop/prod/db/password": {"canary", types.ParameterTypeSecureString}, "/shop/prod/db/replicas": {"a,b", types.ParameterTypeStringList},
			} {
				found := get(api, name)
				Expect(found).To(And(HaveField("Value", HaveValue(Equal(want.value))), HaveField("Type", want.kind)), name)
			}
		})

		It("does nothing the second time, and changes what is other only if it is told to", func() {
			api := as(all)
			_, _, err := run("params", "import", file(".env", "A=1\nB=2\n"), "--path", "/p", "--secure=B")
			Expect(err).NotTo(HaveOccurred())
			get(api, "/p/A")
			get(api, "/p/B")
			out, errs, err := run("params", "import", file(".env", "A=1\nB=2\n"), "--path", "/p/", "--secure=B")
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(BeEmpty())
			Expect(errs).To(ContainSubstring("0 created, 0 updated, 2 unchanged"))
			Expect(get(api, "/p/A").Version).To(Equal(int64(1)))

			other := file(".env", "A=1\nB=canary\nC=3\n")
			out, _, err = run("params", "import", other, "--path", "/p", "--secure=B")
			Expect(err).To(MatchError(ContainSubstring("1 parameters have another value: give --overwrite")))
			Expect(ExitCode(err)).To(Equal(ExitFailed))
			Expect(out).To(MatchRegexp(`(?m)^update +/p/B +SecureString +- +-$`))
			Expect(out).NotTo(ContainSubstring("canary"))
			absent(api, "/p/C")
			_, errs, err = run("params", "import", other, "--path", "/p", "--secure=B", "--overwrite")
			Expect(err).NotTo(HaveOccurred())
			Expect(errs).To(ContainSubstring("1 created, 1 updated, 1 unchanged"))
			Eventually(func() string { return *get(api, "/p/B").Value }).Should(Equal("canary"))
			Expect(get(api, "/p/A").Version).To(Equal(int64(1)))
		})

		It("takes a manifest of a core Secret from the standard input, as SecureStrings", func() {
			api := as(all)
			cmd := newParams()
			var out bytes.Buffer
			cmd.SetIn(strings.NewReader("apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\ndata: {db-password: Y2FuYXJ5}\n"))
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SetArgs([]string{"import", "-", "--format", "yaml", "--path", "/m", "-o", "json"})
			Expect(cmd.ExecuteContext(ctx)).To(Succeed())
			var steps []step
			Expect(json.Unmarshal(out.Bytes(), &steps)).To(Succeed())
			Expect(steps).To(Equal([]step{{Action: "create", Name: "/m/db-password", Type: "SecureString"}}))
			Expect(get(api, "/m/db-password")).To(And(HaveField("Type", types.ParameterTypeSecureString), HaveField("Value", HaveValue(Equal("canary")))))
		})

		It("writes nothing when it is only to say what it would write", func() {
			api := as(all)
			put(api, "/d/a", "one", types.ParameterTypeString)
			out, errs, err := run("params", "import", file("a.json", `{"a":"two","b":"three"}`), "--path", "/d", "--dry-run")
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(MatchRegexp(`(?m)^update +/d/a +String +one +two$`))
			Expect(errs).To(ContainSubstring("nothing was written"))
			absent(api, "/d/b")
			Expect(*get(api, "/d/a").Value).To(Equal("one"))
		})

		It("says which names a manifest declares, and begins nothing then, dry or not", func() {
			api := as(all)
			for name, change := range map[string]func(*v1alpha1.Parameter){
				"said":    func(p *v1alpha1.Parameter) { p.Spec.Value = "git" },
				"same":    func(p *v1alpha1.Parameter) { p.Spec.Value = "file" },
				"waiting": func(p *v1alpha1.Parameter) { p.Spec.Value = "not yet a version" },
				"open":    func(p *v1alpha1.Parameter) { p.Spec.Value = "" },
			} {
				p := environment.Parameter(world.Namespace, name, change, func(p *v1alpha1.Parameter) { p.Spec.Name = "/g/" + name })
				world.Create(p)
				if name != "waiting" && name != "open" {
					_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
					Expect(err).NotTo(HaveOccurred())
					world.Refresh(p)
					world.Seen(p)
				}
			}
			put(api, "/g/free", "one", types.ParameterTypeString)
			settings := file("a.json", `{"said":"file","same":"file","waiting":"file","open":"file","free":"file","new":"file"}`)
			for _, how := range []string{"--dry-run", "--overwrite"} {
				out, _, err := run("params", "import", settings, "--path", "/g", how)
				Expect(err).To(MatchError(And(ContainSubstring("2 parameters have their value from a manifest"), ContainSubstring("Nothing was written"))))
				Expect(ExitCode(err)).To(Equal(ExitFailed))
				Expect(out).To(MatchRegexp(`(?m)^declared +/g/said +String +git +file$`))
				Expect(out).To(MatchRegexp(`(?m)^declared +/g/waiting +String .+ file$`))
				Expect(out).To(And(MatchRegexp(`(?m)^create +/g/open `), MatchRegexp(`(?m)^update +/g/free `), MatchRegexp(`(?m)^create +/g/new `), Not(ContainSubstring("/g/same"))))
				absent(api, "/g/new")
			}
			_, err := api.PutParameter(ctx, &sdk.PutParameterInput{Name: aws.String("/g/said"), Value: aws.String("file"), Overwrite: aws.Bool(true)})
			Expect(err).To(MatchError(ContainSubstring("written in its manifest")), "what the plan says is what the store does")
			out, _, err := run("params", "import", settings, "--path", "/g", "--dry-run", "-o", "json")
			Expect(err).To(HaveOccurred())
			Expect(out).To(ContainSubstring(`"action": "declared"`))
		})

		It("begins nothing when a value refers to another parameter, which AWS refuses", func() {
			api := as(all)
			for _, dry := range []string{"--dry-run", "--overwrite"} {
				_, _, err := run("params", "import", file(".env", "A=ok\nBAD={{ssm:x}}\nC=ok\n"), "--path", "/n", dry)
				Expect(err).To(MatchError(And(ContainSubstring("/n/BAD"), ContainSubstring("can't nest another parameter"))))
			}
			absent(api, "/n/A")
		})

		It("begins nothing when a parameter is of another type, and shows no value of one that is secret in either", func() {
			api := as(all)
			put(api, "/t/a", "canary-there", types.ParameterTypeSecureString)
			out, errs, err := run("params", "import", file("a.json", `{"a":"canary-file","b":"x"}`), "--path", "/t", "--overwrite")
			Expect(err).To(MatchError(ContainSubstring("of another type")))
			Expect(out).To(ContainSubstring("String, is SecureString"))
			Expect(out + errs + err.Error()).NotTo(ContainSubstring("canary"))
			absent(api, "/t/b")
		})

		It("tells how far it has got when there are many, and which one failed", func() {
			api := as(all)
			var lines strings.Builder
			for i := range 150 {
				fmt.Fprintf(&lines, "x%d=1\n", i)
			}
			out, errs, err := run("params", "import", file(".env", lines.String()), "--path", "/many", "-o", "yaml")
			Expect(err).NotTo(HaveOccurred())
			Expect(errs).To(And(ContainSubstring("compared: 100 of 150"), ContainSubstring("written: 100 of 150")))
			Expect(strings.Count(out, "action: create")).To(Equal(150))
			get(api, "/many/x149")

			as(`"Action":"ssm:GetParameters","Resource":"*"`, `"Action":"ssm:PutParameter","Resource":"arn:aws:ssm:*:*:parameter/half/a"`)
			_, _, err = run("params", "import", file("half.json", `{"a":"1","b":"2","c":"3"}`), "--path", "/half")
			Expect(err).To(MatchError(And(ContainSubstring("/half/b"), ContainSubstring("1 of 3 were written before"))))
			Expect(ExitCode(err)).To(Equal(ExitDenied))
			as(all)
			get(api, "/half/a")
			_, errs, err = run("params", "import", file("half.json", `{"a":"1","b":"2","c":"3"}`), "--path", "/half")
			Expect(err).NotTo(HaveOccurred())
			Expect(errs).To(ContainSubstring("2 created, 0 updated, 1 unchanged"))
		})

		It("takes larger values by the tier", func() {
			api := as(all)
			big := file("big.json", `{"a":"`+strings.Repeat("x", 5000)+`"}`)
			_, _, err := run("params", "import", big, "--path", "/big")
			Expect(err).To(MatchError(ContainSubstring("the value of /big/a has 5000 bytes")))
			_, _, err = run("params", "import", big, "--path", "/big", "--tier", "Intelligent-Tiering")
			Expect(err).NotTo(HaveOccurred())
			Expect(*get(api, "/big/a").Value).To(HaveLen(5000))
		})

		DescribeTable("refuses what is wrong before it asks anybody", func(code int, says string, arguments ...string) {
			GinkgoT().Setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:1")
			for i, argument := range arguments {
				if text, is := strings.CutPrefix(argument, "env:"); is {
					arguments[i] = file(".env", text)
				}
			}
			out, _, err := run(append([]string{"params", "import"}, arguments...)...)
			Expect(err).To(MatchError(ContainSubstring(says)))
			Expect(ExitCode(err)).To(Equal(code))
			Expect(out).To(BeEmpty())
			Expect(err.Error()).NotTo(ContainSubstring("canary"))
		},
			Entry("no path", ExitFailed, "give --path", "env:A=canary"),
			Entry("a path that is none", ExitFailed, "a path begins with a slash", "env:A=canary", "--path", "shop"),
			Entry("a path with a star", ExitFailed, "a path begins with a slash", "env:A=canary", "--path", "/shop/*"),
			Entry("no file", ExitFailed, "no such file", "/does/not/exist.env", "--path", "/a"),
			Entry("a format that is not known", ExitFailed, "give --format", "-", "--path", "/a"),
			Entry("a format that there is not", ExitFailed, "no such format", "env:A=canary", "--format", "toml", "--path", "/a"),
			Entry("a file that is wrong", ExitFailed, "line 1", "env:canary", "--path", "/a"),
			Entry("an empty file", ExitNotFound, "has no parameter", "env:# canary", "--path", "/a"),
			Entry("a pattern that is none", ExitFailed, "a pattern has", "env:A=canary", "--path", "/a", "--secure=["),
			Entry("a name of AWS's own", ExitFailed, "aws", "env:A=canary", "--path", "/aws"),
			Entry("an output that there is not", ExitFailed, "--output", "env:A=canary", "--path", "/a", "-o", "name"),
		)

		It("is denied, with an exit code of its own, what IAM does not allow", func() {
			as(`"Action":"ssm:PutParameter","Resource":"*"`)
			_, _, err := run("params", "import", file(".env", "A=1"), "--path", "/p")
			Expect(err).To(MatchError(ContainSubstring("ssm:GetParameters")))
			Expect(ExitCode(err)).To(Equal(ExitDenied))
		})
	})

	Describe("export", func() {
		var api *sdk.Client
		BeforeEach(func() {
			api = as(all)
			put(api, "/e/log-level", "it's \"info\"", types.ParameterTypeString)
			put(api, "/e/db/host", "db", types.ParameterTypeString)
			put(api, "/e/db/hosts", "a,b", types.ParameterTypeStringList)
			put(api, "/e/db/password", "canary", types.ParameterTypeSecureString)
			put(api, "/other", "x", types.ParameterTypeString)
		})

		It("prints what is no secret, and tells how many secrets there are", func() {
			out, errs, err := run("params", "export", "--path", "/e")
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(Equal("DB_HOST=db\nDB_HOSTS=a,b\nLOG_LEVEL=\"it's \\\"info\\\"\"\n"))
			Expect(errs).To(ContainSubstring("1 SecureStrings are left out"))
		})

		It("prints secrets when it is told to, and is audited", func() {
			out, errs, err := run("params", "export", "--path", "/e", "-o", "json", "--with-decryption")
			Expect(err).NotTo(HaveOccurred())
			Expect(errs).To(BeEmpty())
			Expect(out).To(MatchJSON(`{"log-level":"it's \"info\"","db":{"host":"db","hosts":["a","b"],"password":"canary"}}`))
			Eventually(door.Text).Should(MatchRegexp(`"eventName":"GetParametersByPath".*"withDecryption":true`))
			Expect(door.Text()).NotTo(ContainSubstring("canary"))
		})

		It("is taken back by import as it was, in each format", func() {
			for _, format := range []string{"env", "json", "yaml", "secret"} {
				out, _, err := run("params", "export", "--path", "/e", "-o", format, "--with-decryption", "--key-format", "Dotted")
				Expect(err).NotTo(HaveOccurred())
				name := map[string]string{"env": "x.env", "json": "x.json", "yaml": "x.yaml", "secret": "x.yml"}[format]
				_, _, err = run("params", "import", file(name, out), "--path", "/back/"+format)
				Expect(err).NotTo(HaveOccurred())
				password := map[string]string{"env": "db.password", "secret": "db.password"}[format]
				if password == "" {
					password = "db/password"
				}
				Expect(*get(api, "/back/"+format+"/"+password).Value).To(Equal("canary"))
				Expect(*get(api, "/back/"+format+"/log-level").Value).To(Equal(`it's "info"`))
			}
		})

		It("writes a ConfigMap without secrets, and none with them", func() {
			out, _, err := run("params", "export", "--path", "/e", "-o", "configmap", "--name", "shop")
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(MatchYAML("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {db.host: db, db.hosts: 'a,b', log-level: it's \"info\"}\n"))
			out, _, err = run("params", "export", "--path", "/e", "-o", "configmap", "--with-decryption")
			Expect(err).To(MatchError(ContainSubstring("-o secret")))
			Expect(out).To(BeEmpty())
		})

		It("goes through pages, and through the root", func() {
			for i := range 12 {
				put(api, fmt.Sprint("/pages/x", i), "1", types.ParameterTypeString)
			}
			out, _, err := run("params", "export", "--path", "/pages")
			Expect(err).NotTo(HaveOccurred())
			Expect(strings.Count(out, "\n")).To(Equal(12))
			out, _, err = run("params", "export", "--path", "/", "--key-format", "Dotted")
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(And(ContainSubstring("other=x\n"), ContainSubstring("e.db.host=db\n"), ContainSubstring("pages.x11=1\n")))
		})

		It("names keys that are not one, and prints nothing", func() {
			put(api, "/k/a-b", "1", types.ParameterTypeString)
			put(api, "/k/a_b", "2", types.ParameterTypeString)
			out, _, err := run("params", "export", "--path", "/k")
			Expect(err).To(MatchError(And(ContainSubstring("a-b and a_b"), ContainSubstring("A_B"))))
			Expect(out).To(BeEmpty())
			put(api, "/l/..a", "1", types.ParameterTypeString)
			_, _, err = run("params", "export", "--path", "/l", "-o", "configmap")
			Expect(err).To(MatchError(ContainSubstring("..a makes no key")))
			put(api, "/n/a", "1", types.ParameterTypeString)
			put(api, "/n/a/b", "1", types.ParameterTypeString)
			_, _, err = run("params", "export", "--path", "/n", "-o", "yaml")
			Expect(err).To(MatchError(ContainSubstring("a: it is a value and a level of other names")))
		})

		It("needs the permission on the path as it is written, and no other", func() {
			for path, resource := range map[string]string{"/e": "e", "/e/": "e/", "/e/db": "e/*"} {
				as(`"Action":"ssm:GetParametersByPath","Resource":"arn:aws:ssm:*:*:parameter/` + resource + `"`)
				out, _, err := run("params", "export", "--path", path)
				Expect(err).NotTo(HaveOccurred(), path)
				Expect(out).To(ContainSubstring("HOST=db"), path)
			}
		})

		It("names the parameter that cannot be read, and prints nothing", func() {
			for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
				if strings.HasSuffix(e.Spec.Subject, "parameter/e/db/hosts") {
					world.Exchange(&e, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[40] ^= 1 })
				}
			}
			GinkgoT().Setenv("AWS_MAX_ATTEMPTS", "1")
			out, _, err := run("params", "export", "--path", "/")
			Expect(err).To(MatchError(And(ContainSubstring("InternalServerError"), ContainSubstring("/e/db/hosts"), ContainSubstring("--skip-damaged"))))
			Expect(out).To(BeEmpty())

			whole, errs, err := run("params", "export", "--path", "/e/", "--skip-damaged", "-o", "json", "--with-decryption")
			Expect(err).To(MatchError("1 parameters cannot be read and are left out: /e/db/hosts; the conditions of their Parameters say what helps"))
			Expect(ExitCode(err)).To(Equal(ExitFailed))
			Expect(whole).To(MatchJSON(`{"log-level":"it's \"info\"","db":{"host":"db","password":"canary"}}`))
			Expect(errs).NotTo(ContainSubstring("canary"))
			out, errs, err = run("params", "export", "--path", "/", "--skip-damaged")
			Expect(err).To(MatchError(ContainSubstring("left out: /e/db/hosts;")))
			Expect(out).To(Equal("E_DB_HOST=db\nE_LOG_LEVEL=\"it's \\\"info\\\"\"\nOTHER=x\n"))
			Expect(errs).To(ContainSubstring("1 SecureStrings are left out"))
			as(`"Action":"ssm:GetParametersByPath","Resource":"*"`)
			out, _, err = run("params", "export", "--path", "/e", "--skip-damaged")
			Expect(err).To(MatchError(ContainSubstring("ssm:DescribeParameters")))
			Expect(ExitCode(err)).To(Equal(ExitDenied))
			Expect(out).To(BeEmpty())
		})

		It("says so, with exit codes, when there is nothing or it is denied", func() {
			_, _, err := run("params", "export", "--path", "/nothing")
			Expect(ExitCode(err)).To(Equal(ExitNotFound))
			_, _, err = run("params", "export", "--path", "/e", "--key-format", "camel")
			Expect(ExitCode(err)).To(Equal(ExitFailed))
			as(`"Action":"ssm:GetParametersByPath","Resource":"arn:aws:ssm:*:*:parameter/mine"`)
			_, _, err = run("params", "export", "--path", "/e")
			Expect(err).To(MatchError(ContainSubstring("ssm:GetParametersByPath")))
			Expect(ExitCode(err)).To(Equal(ExitDenied))
		})
	})

	It("says what it has when it is asked for nothing", func() {
		cmd := newParams()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs(nil)
		Expect(cmd.ExecuteContext(ctx)).To(Succeed())
		Expect(out.String()).To(And(ContainSubstring("import"), ContainSubstring("export")))
	})
})
