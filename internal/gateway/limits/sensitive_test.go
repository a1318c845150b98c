package limits

import (
	"reflect"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

func TestWhatIsSensitiveIsSoAtItsPathAndBelowIt(t *testing.T) {
	for _, tt := range []struct {
		service, operation string
		direction          Direction
		path               string
		want               bool
	}{
		{"kms", "Encrypt", Input, "plaintext", true},
		{"kms", "Encrypt", Input, "Plaintext", true},
		{"kms", "Encrypt", Input, "keyId", false},
		{"kms", "Encrypt", Input, "encryptionContext", false},
		{"kms", "Encrypt", Input, "encryptionContext.key", false},
		{"kms", "Encrypt", Input, "encryptionContext.value", false},
		{"kms", "Encrypt", Input, "encryptionContext.entry", true},
		{"kms", "Encrypt", Input, "grantTokens", false},
		{"kms", "Encrypt", Input, "grantTokens.1.member", true},
		{"kms", "Encrypt", Input, "grantTokens.member", true},
		{"kms", "Encrypt", Output, "ciphertextBlob", true},
		{"kms", "Encrypt", Output, "keyId", false},
		{"kms", "Decrypt", Output, "plaintext", true},
		{"secretsmanager", "CreateSecret", Input, "secretString", true},
		{"secretsmanager", "CreateSecret", Input, "name", false},
		{"secretsmanager", "CreateSecret", Input, "tags.1.member.key", false},
		{"secretsmanager", "CreateSecret", Input, "tags.0.member.Key", false},
		{"secretsmanager", "CreateSecret", Input, "tags.-1.member.key", true},
		{"secretsmanager", "CreateSecret", Input, "tags.1.entry.key", true},
		{"secretsmanager", "BatchGetSecretValue", Output, "secretValues.7.member.secretBinary", true},
		{"secretsmanager", "BatchGetSecretValue", Output, "secretValues.7.member.name", false},
		{"sts", "AssumeRole", Output, "credentials.secretAccessKey", true},
		{"sts", "AssumeRole", Output, "credentials.sessionToken", true},
		{"sts", "AssumeRole", Output, "credentials.accessKeyId", false},
		{"sts", "AssumeRole", Input, "tokenCode", true},
		{"sts", "AssumeRoleWithWebIdentity", Input, "webIdentityToken", true},
		{"acm", "ExportCertificate", Output, "privateKey", true},
		{"acm", "ExportCertificate", Output, "certificate", false},
		{"ssm", "PutParameter", Input, "value", true},
		{"ssm", "GetParameter", Output, "parameter.value", true},
		{"ssm", "GetParameter", Output, "parameter.name", false},
		{"iam", "CreateAccessKey", Output, "accessKey.secretAccessKey", true},
		{"iam", "CreateAccessKey", Output, "accessKey.accessKeyId", false},

		{"kms", "Encrypt", Input, "", false},          // the whole is shown member by member
		{"kms", "Encrypt", Input, "unheard", true},    // and what is not known is not shown
		{"kms", "Encrypt", Input, "keyId.more", true}, // nor what a text has not
		{"kms", "Encrypt", Input, "keyId.", false},    // an empty step is none
		{"kms", "Unheard", Input, "keyId", true},      // an operation
		{"unheard", "Encrypt", Input, "keyId", true},  // a service
		{"kms", "Encrypt", Input, "..", true},         //
		{"kms", "Encrypt", Input, "keyId\x00", true},  //
		{"kms", "Encrypt", Output, "plaintext", true}, // of the other structure
		{"kms", "ListKeys", Output, "keys.1.member", false},
	} {
		if got := Sensitive(tt.service, tt.operation, tt.direction, tt.path); got != tt.want {
			t.Errorf("%s:%s %d %q: %v", tt.service, tt.operation, tt.direction, tt.path, got)
		}
	}
}

// TestWhatIsListedAsSensitiveBesidesIsInATable: a name that AWS changes would leave its values to be shown.
func TestWhatIsListedAsSensitiveBesidesIsInATable(t *testing.T) {
	for entry, why := range alsoSensitive {
		service, name, _ := strings.Cut(entry, ":")
		s, err := For(service)
		if err != nil {
			t.Errorf("%s: %v", entry, err)
			continue
		}
		if why == "" {
			t.Errorf("%s has no reason", entry)
		}
		shape, member, ofMember := strings.Cut(name, ".")
		if ofMember {
			found, ok := s.Shape(shape)
			if !ok {
				t.Errorf("%s is in no table", entry)
				continue
			}
			held := false
			for _, m := range found.Members {
				held = held || m.Name == member && m.Sensitive
			}
			if !held {
				t.Errorf("%s: %s has no such member that is sensitive", entry, shape)
			}
			continue
		}
		used := 0
		for _, name := range s.Shapes() {
			held, _ := s.Shape(name)
			for _, m := range append([]*Member{held.Element, held.Key, held.Value}, held.Members...) {
				if m != nil && m.Shape.Name == shape {
					used++
					if !m.Sensitive {
						t.Errorf("%s: member %s of %s is not sensitive", entry, m.Name, name)
					}
				}
			}
		}
		if used == 0 {
			t.Errorf("%s is of no member", entry)
		}
	}
}

// TestNoErrorShowsASensitiveMember: of every operation of every service, with a text in a sensitive member that breaks its limits.
func TestNoErrorShowsASensitiveMember(t *testing.T) {
	tried := 0
	for service := range clients {
		_, operations := served(t, service)
		for o := range operations {
			for _, m := range o.Input.Members {
				if !m.Sensitive || m.Shape.Type != table.String || m.Shape.Max == nil {
					continue
				}
				tried++
				p, err := compile(m.Shape, reflect.TypeFor[string](), true)
				if err != nil {
					t.Fatal(err)
				}
				c := check{}
				c.value(p, reflect.ValueOf("hunter2"+strings.Repeat("x", int(*m.Shape.Max))))
				if len(c.found) == 0 || strings.Contains(c.found.Error(), "hunter2") {
					t.Errorf("%s:%s %s: %.200s", service, o.Name, m.Name, c.found.Error())
				}
			}
		}
	}
	if tried < 10 {
		t.Errorf("%d members were tried", tried)
	}
}
