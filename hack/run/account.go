package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/loopback"
)

// administrator is an IAMUser of account "default" who may do everything: what a new account of AWS's begins with.
const administrator = `apiVersion: strongroom.dev/v1alpha1
kind: IAMUser
metadata: {name: administrator, namespace: default}
spec:
  accessKeys: [{name: local}]
  managedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess"]
`

// gatewayAddress is where the AWS APIs are served: the same port at each start, so that what was exported stays true.
func gatewayAddress(o options) (string, error) {
	path := filepath.Join(o.dataDir, "gateway-port")
	if stored, err := os.ReadFile(path); err == nil {
		// A file that a crash has cut off has no port, and to listen on none, or on 0, is to listen on any.
		if port, err := strconv.ParseUint(strings.TrimSpace(string(stored)), 10, 16); err == nil && port != 0 {
			address := fmt.Sprintf("127.0.0.1:%d", port)
			if socket, err := net.Listen("tcp", address); err == nil {
				_ = socket.Close()
				return address, nil
			}
		}
	}
	port, err := loopback.FreePort()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", port), os.WriteFile(path, []byte(strconv.Itoa(port)), 0o600)
}

// writeBundle writes what the gateway's clients trust to a file.
func writeBundle(ctx context.Context, k *kubectl, o options) (path string, err error) {
	path = filepath.Join(o.dataDir, "gateway-ca.crt")
	text, err := k.run(ctx, "", "get", "configmap", "-n", namespace, "strongroom-gateway-ca", "-o", `jsonpath={.data.ca\.crt}`)
	if err != nil {
		return path, err
	}
	return path, os.WriteFile(path, []byte(text+"\n"), 0o600)
}

// followBundle writes it again and again: the authority that is named may be made, or made anew, while this runs.
func followBundle(ctx context.Context, k *kubectl, o options) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Second):
			_, _ = writeBundle(ctx, k, o)
		}
	}
}

// access is what an AWS SDK needs, as lines of a shell.
func access(ctx context.Context, k *kubectl, o options, address string) (string, error) {
	say("making an administrator of account (namespace) default ...")
	if _, err := k.run(ctx, administrator, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return "", err
	}
	if _, err := k.run(ctx, "", "wait", "-n", "default", "--for=condition=Ready", "--timeout=60s", "iamuser/administrator"); err != nil {
		return "", err
	}
	bundle, err := writeBundle(ctx, k, o)
	if err != nil {
		return "", err
	}
	out := fmt.Sprintf("export AWS_ENDPOINT_URL=%q\nexport AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1\nexport AWS_CA_BUNDLE=%q\n", "https://"+address, bundle)
	for _, entry := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		encoded, err := k.run(ctx, "", "get", "secret", "-n", "default", "administrator-local", "-o", "jsonpath={.data."+entry+"}")
		if err != nil {
			return "", err
		}
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", entry, err)
		}
		out += fmt.Sprintf("export %s=%q\n", entry, value)
	}
	return out + "unset AWS_SESSION_TOKEN AWS_PROFILE\n", nil
}
