package render

import (
	"bytes"
	"encoding/base64"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"encoding/pem"
	"fmt"
	"strings"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// The types of core Secrets whose keys Kubernetes names.
// https://kubernetes.io/docs/concepts/configuration/secret/#secret-types
const (
	typeBasicAuth    = "kubernetes.io/basic-auth"
	typeDockerConfig = "kubernetes.io/dockerconfigjson"
	typeSSHAuth      = "kubernetes.io/ssh-auth"
	typeTLS          = "kubernetes.io/tls"

	keyDockerConfig = ".dockerconfigjson"
	keySSH          = "ssh-privatekey"
	keyCertificate  = "tls.crt"
	keyPrivate      = "tls.key"
)

// Typed is Data for a core Secret of a type. Without templates, a type whose keys Kubernetes names has those:
//
//   - basic-auth: the members of a JSON object; any other value is the key password.
//   - dockerconfigjson: a value that has a member auths is taken as it is; else its members registry, username and password make one.
//   - ssh-auth: the members of a JSON object that has ssh-privatekey or privateKey; any other value is the key ssh-privatekey.
//   - tls: the members of a JSON object, tls.crt and tls.key, or certificate, certificateChain and privateKey as ACM has them; any other value is PEM, of whose blocks
//     the private key is tls.key, and the rest tls.crt in its order.
//
// The caller owns the result.
func Typed(secretType string, templates map[string]string, v Value) (data map[string]secretbytes.Bytes, err error) {
	shape := map[string]func(Value) (map[string]secretbytes.Bytes, error){
		typeBasicAuth: basicAuth, typeDockerConfig: dockerConfig, typeSSHAuth: sshAuth, typeTLS: tlsPair,
	}[secretType]
	if len(templates) > 0 || shape == nil {
		return Data(templates, v)
	}
	secretbytes.Do(func() { data, err = shape(v) })
	return data, err
}

func one(key string, value []byte) map[string]secretbytes.Bytes {
	return map[string]secretbytes.Bytes{key: secretbytes.Copy(value)}
}

// needs says what a type needs, and nothing of the value.
func needs(secretType, what string) error {
	return fmt.Errorf("%w: a core Secret of type %s needs %s: put such a value, or use a template", ErrTemplate, secretType, what)
}

func basicAuth(v Value) (map[string]secretbytes.Bytes, error) {
	if _, isObject := object(v.Current.Reveal()); isObject {
		return plain(v)
	}
	return one("password", v.Current.Reveal()), nil
}

func sshAuth(v Value) (map[string]secretbytes.Bytes, error) {
	if _, isObject := object(v.Current.Reveal()); !isObject {
		return one(keySSH, v.Current.Reveal()), nil
	}
	data, err := plain(v)
	if err != nil {
		return nil, err
	}
	rename(data, "privateKey", keySSH)
	if _, has := data[keySSH]; !has {
		wipe(data)
		return nil, needs(typeSSHAuth, "a private key, or a JSON object with a member "+keySSH+" or privateKey")
	}
	return data, nil
}

// rename has a member under the key that Kubernetes names, unless that is there.
func rename(data map[string]secretbytes.Bytes, from, to string) {
	value, has := data[from]
	if _, taken := data[to]; !has || taken {
		return
	}
	delete(data, from)
	data[to] = value
}

func wipe(data map[string]secretbytes.Bytes) {
	for _, b := range data {
		b.Wipe()
	}
}

// registry is what a login at a registry needs.
type registry struct {
	Registry string `json:"registry"`
	Server   string `json:"server"`
	Username string `json:"username"`
	Password string `json:"password"`
	Email    string `json:"email"`
}

func dockerConfig(v Value) (map[string]secretbytes.Bytes, error) {
	members, isObject := object(v.Current.Reveal())
	if auths := members["auths"]; isObject && auths.Kind() == jsontext.KindBeginObject {
		return one(keyDockerConfig, v.Current.Reveal()), nil
	}
	var r registry
	if !isObject || json.Unmarshal(v.Current.Reveal(), &r) != nil || r.Registry+r.Server == "" || r.Username == "" || r.Password == "" {
		return nil, needs(typeDockerConfig, "a JSON object with a member auths, as docker's config.json has it, or with the members registry, username and password")
	}
	if r.Registry == "" {
		r.Registry = r.Server
	}
	login := map[string]string{
		"username": r.Username, "password": r.Password, "auth": base64.StdEncoding.EncodeToString([]byte(r.Username + ":" + r.Password)),
	}
	if r.Email != "" {
		login["email"] = r.Email
	}
	config, err := json.Marshal(map[string]any{"auths": map[string]any{r.Registry: login}}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("%w: the value's text is not UTF-8", ErrTemplate)
	}
	return map[string]secretbytes.Bytes{keyDockerConfig: secretbytes.Own(config)}, nil
}

func tlsPair(v Value) (map[string]secretbytes.Bytes, error) {
	data, err := tlsParts(v)
	if err != nil {
		return nil, err
	}
	if data[keyCertificate].Len() == 0 || data[keyPrivate].Len() == 0 {
		wipe(data)
		return nil, needs(typeTLS, "a certificate and its private key: as PEM, or as members tls.crt and tls.key, or certificate and privateKey, of a JSON object")
	}
	return data, nil
}

func tlsParts(v Value) (map[string]secretbytes.Bytes, error) {
	if _, isObject := object(v.Current.Reveal()); !isObject {
		return tlsBlocks(v.Current.Reveal()), nil
	}
	data, err := plain(v)
	if err != nil {
		return nil, err
	}
	rename(data, "privateKey", keyPrivate)
	rename(data, "certificate", keyCertificate)
	if chain, has := data["certificateChain"]; has {
		leaf := data[keyCertificate]
		joined := bytes.Join([][]byte{bytes.TrimRight(leaf.Reveal(), "\n"), chain.Reveal()}, []byte("\n"))
		leaf.Wipe()
		chain.Wipe()
		delete(data, "certificateChain")
		data[keyCertificate] = secretbytes.Own(joined)
	}
	return data, nil
}

// tlsBlocks takes PEM apart: private keys here, all else there.
func tlsBlocks(text []byte) map[string]secretbytes.Bytes {
	var certificate, private bytes.Buffer
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		into := &certificate
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			into = &private
		}
		_ = pem.Encode(into, block) // a Buffer takes everything; a header that cannot be written was not read
		clear(block.Bytes)
	}
	return map[string]secretbytes.Bytes{keyCertificate: secretbytes.Own(certificate.Bytes()), keyPrivate: secretbytes.Own(private.Bytes())}
}
