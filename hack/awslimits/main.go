// awslimits makes the gateway's tables of limits (internal/gateway/limits/tables) out of AWS's models of its services:
//
//	go run ./hack/awslimits --models DIR [--out DIR]
//
// DIR holds one JSON file a service in the layout of botocore's service-2.json, where an error's name is enough in an
// operation's list of errors. The models are no part of the project; each table names the SHA-256 of its own. What AWS has
// added since is in the folder later, in the same layout.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// services are those that the gateway answers for, by the names of their files.
var services = []string{"acm", "acm-pca", "cloudhsmv2", "cloudtrail", "iam", "kms", "secretsmanager", "ssm", "sts"}

func main() {
	models := flag.String("models", "", "the folder of the models (required)")
	out := flag.String("out", "internal/gateway/limits/tables", "the folder that the tables are written to")
	flag.Parse()
	if err := run(*models, *out); err != nil {
		fmt.Fprintln(os.Stderr, "awslimits:", err)
		os.Exit(1)
	}
}

func run(models, out string) error {
	if models == "" {
		return errors.New("--models is required")
	}
	for _, service := range services {
		data, err := os.ReadFile(filepath.Join(models, service+".json"))
		if err != nil {
			return err
		}
		encoded, err := generate(service, data)
		if err != nil {
			return fmt.Errorf("%s: %w", service, err)
		}
		if err := os.WriteFile(filepath.Join(out, service+".json"), encoded, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate makes one service's table.
func generate(service string, model []byte) ([]byte, error) {
	m, err := parse(model)
	if err != nil {
		return nil, err
	}
	added, err := addLater(m, service)
	if err != nil {
		return nil, err
	}
	t, err := m.table(service)
	if err != nil {
		return nil, err
	}
	t.Source += added
	sum := sha256.Sum256(model)
	t.ModelSHA256 = hex.EncodeToString(sum[:])
	encoded, err := table.Encode(t)
	if err != nil {
		return nil, err
	}
	if _, err := table.Decode(encoded); err != nil {
		return nil, fmt.Errorf("what was written cannot be read: %w", err)
	}
	return encoded, nil
}
