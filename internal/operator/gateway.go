package operator

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"strongroom.dev/strongroom/controllers"
	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway"
	gatewayacm "strongroom.dev/strongroom/internal/gateway/acm"
	gatewaypca "strongroom.dev/strongroom/internal/gateway/acmpca"
	gatewayhsm "strongroom.dev/strongroom/internal/gateway/cloudhsm"
	gatewayiam "strongroom.dev/strongroom/internal/gateway/iam"
	gatewaykms "strongroom.dev/strongroom/internal/gateway/kms"
	gatewaysecrets "strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/internal/gateway/server"
	"strongroom.dev/strongroom/internal/gateway/serving"
	gatewayssm "strongroom.dev/strongroom/internal/gateway/ssm"
	gatewaysts "strongroom.dev/strongroom/internal/gateway/sts"
	"strongroom.dev/strongroom/internal/service/kms"
)

// GatewayService is the name of the Service in front of the gateway.
const GatewayService = "strongroom-gateway"

// GatewayServices is the registry of the AWS services that are served. Without services behind them, as of the zero value, they
// have their names and operations, and cannot be called: that is what docs/aws-compatibility.md is generated from.
func GatewayServices(s controllers.Services) []gateway.Service {
	secrets := gatewaysecrets.New(gatewaysecrets.Dependencies{Secrets: s.Secrets})
	return []gateway.Service{
		gatewaykms.New(gatewaykms.Dependencies{KMS: s.KMS, KeyStores: s.CloudHSM, Authorities: s.Authorities}),
		gatewayhsm.New(gatewayhsm.Dependencies{Clusters: s.CloudHSM}),
		secrets,
		gatewayacm.New(gatewayacm.Dependencies{Certificates: s.Certificates, Authorities: s.Authorities}),
		gatewaypca.New(gatewaypca.Dependencies{Authorities: s.Authorities}),
		gatewayssm.New(gatewayssm.Dependencies{Parameters: s.Parameters, SecretValue: secrets.Operation("GetSecretValue")}),
		gatewayiam.New(gatewayiam.Dependencies{IAM: s.IAM}),
		gatewaysts.New(gatewaysts.Dependencies{IAM: s.IAM}),
	}
}

// serve adds the gateway. Every replica serves, whichever of them leads.
func (op *Operator) serve(o Options) error {
	usages := &kms.UsageWriter{Service: op.Services.KMS, Log: op.GetLogger().WithName("usage")}
	if err := op.Add(usages); err != nil {
		return fmt.Errorf("adding the notes of when keys were used: %w", err)
	}
	if !o.serves() {
		return nil
	}
	records, err := openTrail(o.AuditLog)
	if err != nil {
		return err
	}
	log := op.GetLogger().WithName("gateway")
	handler, err := server.New(server.Options{
		Services: GatewayServices(op.Services), Regions: o.regions(), Credentials: op.Services.IAM, Trail: records, Now: o.Now,
		SourceShare: o.GatewaySourceShare, Log: log,
	})
	if err != nil {
		return fmt.Errorf("making the gateway: %w", err)
	}
	op.Gateway = &serving.Listener{
		Address: o.GatewayBindAddress, Handler: handler, GracefulShutdownTimeout: o.GracefulShutdownTimeout, Log: log, Closer: closers{usages, records},
		SourceShare: o.GatewaySourceShare,
		Certificate: &serving.Certificate{
			Client: op.direct, Namespace: o.Namespace, Names: o.gatewayNames(), Now: o.Now, Log: log,
			Authority: o.GatewayAuthority, Authorities: op.Services.Authorities,
		},
	}
	if err := op.Add(op.Gateway); err != nil {
		return fmt.Errorf("adding the gateway: %w", err)
	}
	return nil
}

// closers are closed one after another.
type closers []io.Closer

// Close implements io.Closer.
func (c closers) Close() (err error) {
	for _, one := range c {
		err = errors.Join(err, one.Close())
	}
	return err
}

// serves tells whether there is a gateway.
func (o Options) serves() bool { return o.GatewayBindAddress != "" && o.GatewayBindAddress != "0" }

// gatewayURL is the address of the gateway's Service for pods, empty if there is no gateway. It ends in .svc, which every
// cluster's pods resolve whatever its domain is.
func (o Options) gatewayURL() string {
	if !o.serves() {
		return ""
	}
	return "https://" + GatewayService + "." + o.Namespace + ".svc"
}

func openTrail(path string) (*trail.Writer, error) {
	if path == "" || path == "-" {
		return trail.NewWriter(os.Stdout), nil
	}
	return trail.OpenFile(path)
}

// regions are those served, the home region first.
func (o Options) regions() []string {
	others := slices.DeleteFunc(slices.Clone(o.Regions), func(r string) bool { return r == o.Region })
	return append([]string{o.Region}, others...)
}

// gatewayNames are all names of the gateway.
func (o Options) gatewayNames() []string {
	service := GatewayService + "." + o.Namespace
	names := []string{GatewayService, service, service + ".svc", service + ".svc.cluster.local", "localhost", "127.0.0.1", "::1"}
	return append(names, o.GatewayNames...)
}
