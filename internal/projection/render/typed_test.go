package render_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/projection/render"
)

const (
	leafPEM = "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n"
	caPEM   = "-----BEGIN CERTIFICATE-----\nY2E=\n-----END CERTIFICATE-----\n"
	keyPEM  = "-----BEGIN PRIVATE KEY-----\na2V5\n-----END PRIVATE KEY-----\n"
	ecPEM   = "-----BEGIN EC PRIVATE KEY-----\na2V5\n-----END EC PRIVATE KEY-----\n"
)

// text is a JSON string.
func text(s string) string {
	b, _ := json.Marshal(s) // a string always has a form
	return string(b)
}

func TestATypeWhoseKeysKubernetesNamesHasThose(t *testing.T) {
	for name, tt := range map[string]struct {
		secretType, value string
		want              map[string]string
	}{
		"a login":                            {"kubernetes.io/basic-auth", `{"username":"u","password":"p"}`, map[string]string{"username": "u", "password": "p"}},
		"a password alone":                   {"kubernetes.io/basic-auth", "p@ss", map[string]string{"password": "p@ss"}},
		"a key":                              {"kubernetes.io/ssh-auth", keyPEM, map[string]string{"ssh-privatekey": keyPEM}},
		"a key as a member":                  {"kubernetes.io/ssh-auth", `{"privateKey":"k","known_hosts":"h"}`, map[string]string{"ssh-privatekey": "k", "known_hosts": "h"}},
		"a key by its name":                  {"kubernetes.io/ssh-auth", `{"ssh-privatekey":"k","privateKey":"other"}`, map[string]string{"ssh-privatekey": "k", "privateKey": "other"}},
		"a pair by its names":                {"kubernetes.io/tls", `{"tls.crt":"c","tls.key":"k"}`, map[string]string{"tls.crt": "c", "tls.key": "k"}},
		"a pair by ACM's names":              {"kubernetes.io/tls", `{"certificate":"c","privateKey":"k"}`, map[string]string{"tls.crt": "c", "tls.key": "k"}},
		"a pair with a chain":                {"kubernetes.io/tls", `{"certificate":"c\n","certificateChain":"ca\n","privateKey":"k"}`, map[string]string{"tls.crt": "c\nca\n", "tls.key": "k"}},
		"a bundle":                           {"kubernetes.io/tls", leafPEM + caPEM + keyPEM, map[string]string{"tls.crt": leafPEM + caPEM, "tls.key": keyPEM}},
		"a bundle whose key is first":        {"kubernetes.io/tls", ecPEM + leafPEM, map[string]string{"tls.crt": leafPEM, "tls.key": ecPEM}},
		"a bundle with text between":         {"kubernetes.io/tls", "subject=x\n" + leafPEM + "\n# key\n" + keyPEM, map[string]string{"tls.crt": leafPEM, "tls.key": keyPEM}},
		"a docker configuration":             {"kubernetes.io/dockerconfigjson", `{"auths":{}}`, map[string]string{".dockerconfigjson": `{"auths":{}}`}},
		"another type":                       {"example.com/x", `{"a":"b"}`, map[string]string{"a": "b"}},
		"no type":                            {"", "text", map[string]string{"value": "text"}},
		"a member that is a certificate too": {"Opaque", `{"certificate":"c"}`, map[string]string{"certificate": "c"}},
	} {
		data, err := render.Typed(tt.secretType, nil, value(tt.value))
		got := map[string]string{}
		for k, v := range data {
			got[k] = string(v.Reveal())
		}
		if err != nil || !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestARegistrysLoginBecomesWhatDockerReads(t *testing.T) {
	for _, server := range []string{"registry", "server"} {
		data, err := render.Typed("kubernetes.io/dockerconfigjson", nil, value(`{"`+server+`":"ghcr.io","username":"u","password":"p:\"<é","email":"a@b"}`))
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Auths map[string]struct {
				Username, Password, Email string
				Auth                      []byte
			}
		}
		if err := json.Unmarshal(data[".dockerconfigjson"].Reveal(), &config); err != nil {
			t.Fatal(err)
		}
		login := config.Auths["ghcr.io"]
		if login.Username != "u" || login.Password != `p:"<é` || string(login.Auth) != `u:p:"<é` || login.Email != "a@b" || len(config.Auths) != 1 {
			t.Errorf("%+v", config)
		}
	}
}

// A digest of the data decides whether workloads are restarted, so the same value is the same data.
func TestTypedDataIsTheSameForTheSameValue(t *testing.T) {
	for range 20 {
		data, err := render.Typed("kubernetes.io/dockerconfigjson", nil, value(`{"registry":"r","username":"u","password":"p","email":"e"}`))
		if want := `{"auths":{"r":{"auth":"dTpw","email":"e","password":"p","username":"u"}}}`; err != nil || string(data[".dockerconfigjson"].Reveal()) != want {
			t.Fatalf("%s, %v", data[".dockerconfigjson"].Reveal(), err)
		}
	}
}

func TestATypeThatLacksWhatItNeedsSaysSoAndNothingOfTheValue(t *testing.T) {
	for name, tt := range map[string]struct{ secretType, value, says string }{
		"text for a registry":                {"kubernetes.io/dockerconfigjson", "CANARY", "registry, username and password"},
		"a registry without a password":      {"kubernetes.io/dockerconfigjson", `{"registry":"r","username":"CANARY"}`, "registry, username and password"},
		"a password that is a number":        {"kubernetes.io/dockerconfigjson", `{"registry":"r","username":"u","password":77777}`, "registry, username and password"},
		"auths that are text":                {"kubernetes.io/dockerconfigjson", `{"auths":"CANARY"}`, "a member auths"},
		"an object without a key":            {"kubernetes.io/ssh-auth", `{"password":"CANARY"}`, "ssh-privatekey or privateKey"},
		"a certificate without a key":        {"kubernetes.io/tls", leafPEM, "private key"},
		"a key without a certificate":        {"kubernetes.io/tls", keyPEM, "a certificate"},
		"text for a pair":                    {"kubernetes.io/tls", "CANARY", "as PEM"},
		"an object without a certificate":    {"kubernetes.io/tls", `{"tls.key":"CANARY"}`, "tls.crt"},
		"an object with an empty key":        {"kubernetes.io/tls", `{"tls.crt":"c","tls.key":""}`, "tls.key"},
		"a chain without a certificate":      {"kubernetes.io/tls", `{"certificateChain":` + text(caPEM) + `}`, "private key"},
		"a member that cannot be a key":      {"kubernetes.io/basic-auth", `{"CANARY key":"x"}`, "cannot be a key"},
		"an object of a key with a bad name": {"kubernetes.io/ssh-auth", `{"CANARY key":"x"}`, "cannot be a key"},
	} {
		data, err := render.Typed(tt.secretType, nil, value(tt.value))
		if !refusal(err, tt.says) || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "77777") || len(data) != 0 {
			t.Errorf("%s: %v, %v", name, slices.Collect(maps.Keys(data)), err)
		}
	}
}

func TestATemplateGoesBeforeATypesKeys(t *testing.T) {
	data, err := render.Typed("kubernetes.io/tls", map[string]string{"tls.crt": "{{ .a }}", "tls.key": "{{ .b }}"}, value(`{"a":"1","b":"2"}`))
	if err != nil || string(data["tls.crt"].Reveal()) != "1" || string(data["tls.key"].Reveal()) != "2" {
		t.Error(err)
	}
}

func FuzzTypedDataHasTheKeysOfItsTypeOrIsRefused(f *testing.F) {
	for _, seed := range []string{leafPEM + keyPEM, `{"tls.crt":"c","tls.key":"k"}`, `{"auths":{}}`, `{"registry":"r","username":"u","password":"p"}`, "text", "{", `{"privateKey":"k"}`} {
		f.Add(seed)
	}
	needed := map[string][]string{"kubernetes.io/tls": {"tls.crt", "tls.key"}, "kubernetes.io/ssh-auth": {"ssh-privatekey"}, "kubernetes.io/dockerconfigjson": {".dockerconfigjson"}}
	f.Fuzz(func(t *testing.T, input string) {
		for secretType, keys := range needed {
			data, err := render.Typed(secretType, nil, value(input))
			for _, key := range keys {
				if _, has := data[key]; err == nil && !has {
					t.Errorf("%s lacks %s", secretType, key)
				}
			}
		}
	})
}
