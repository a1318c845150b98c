package environment

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/controllers"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// ErrInjected is what a FaultyClient fails with.
var ErrInjected = errors.New("injected fault")

// FaultyClient counts writes, and fails at one of them: before it is done, or after it, so that only the answer is lost.
// Every later write fails too, before it is done, as after the death of the process.
type FaultyClient struct {
	client.Client

	mu     sync.Mutex
	writes int
	failAt int
	after  bool
	dead   bool
	log    []string
}

// FailAt makes the nth write from now fail. 0 heals the client.
func (c *FaultyClient) FailAt(n int, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes, c.failAt, c.after, c.dead, c.log = 0, n, after, false, nil
}

// Writes is the number of writes since the last FailAt.
func (c *FaultyClient) Writes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// Log lists the writes since the last FailAt.
func (c *FaultyClient) Log() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.log...)
}

func (c *FaultyClient) write(what string, do func() error) error {
	c.mu.Lock()
	c.writes++
	c.log = append(c.log, what)
	now := c.failAt != 0 && c.writes == c.failAt
	dead := c.dead
	c.dead = c.dead || now
	c.mu.Unlock()
	if dead || now && !c.after {
		return ErrInjected
	}
	if err := do(); err != nil || !now {
		return err
	}
	return ErrInjected
}

// Create is a write.
func (c *FaultyClient) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	return c.write("create", func() error { return c.Client.Create(ctx, obj, opts...) })
}

// Update is a write.
func (c *FaultyClient) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	return c.write("update", func() error { return c.Client.Update(ctx, obj, opts...) })
}

// Patch is a write.
func (c *FaultyClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.write("patch", func() error { return c.Client.Patch(ctx, obj, patch, opts...) })
}

// Apply is a write.
func (c *FaultyClient) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	return c.write("apply", func() error { return c.Client.Apply(ctx, obj, opts...) })
}

// Delete is a write.
func (c *FaultyClient) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	return c.write("delete", func() error { return c.Client.Delete(ctx, obj, opts...) })
}

// Status writes are writes.
func (c *FaultyClient) Status() client.SubResourceWriter {
	return &faultyStatus{c.Client.Status(), c}
}

type faultyStatus struct {
	client.SubResourceWriter
	c *FaultyClient
}

func (s *faultyStatus) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	return s.c.write("status", func() error { return s.SubResourceWriter.Update(ctx, obj, opts...) })
}

// Faulty makes reconcilers whose writes go through a FaultyClient. They share the running operator's cache and keyring.
func (r *Reconcilers) Faulty() (*Reconcilers, *FaultyClient) {
	faulty := &FaultyClient{Client: r.GetClient()}
	s := r.Services
	s.Client = faulty
	s.Store = &store.Store{Client: faulty, Live: s.Live}
	service := *r.Services.KMS
	service.Reader, service.Client, service.Store = faulty, faulty, s.Store
	s.KMS = &service
	s.Secrets = r.SecretsOver(faulty)
	s.Secrets.KMS = s.KMS
	authorities := r.Services.Authorities
	s.Authorities = &acmpca.Service{
		Client: faulty, Region: authorities.Region, KMS: s.KMS, Store: s.Store, Keyring: authorities.Keyring, Now: authorities.Now,
	}
	certificates := *r.Services.Certificates
	certificates.Client, certificates.Authorities, certificates.KMS, certificates.Store = faulty, s.Authorities, s.KMS, s.Store
	s.Certificates = &certificates
	parameters := *r.Services.Parameters
	parameters.Client, parameters.Store, parameters.KMS = faulty, s.Store, s.KMS
	s.Parameters = &parameters
	s.Projector = &projection.Projector{Client: faulty, Live: s.Live, Digester: r.Services.Projector.Digester, Keyring: s.Keyring, Reserved: r.Services.Projector.Reserved}
	recorder := events.NewFakeRecorder(1000)
	return &Reconcilers{
		Operator: r.Operator, Events: recorder,
		Secret:    controllers.NewSecret(s, recorder),
		Parameter: controllers.NewParameter(s, recorder),
		KMSKey:    controllers.NewKMSKey(s, recorder),

		ParameterTree: controllers.NewParameterTree(s, recorder),

		Certificate:          controllers.NewCertificate(s, recorder),
		CertificateAuthority: controllers.NewCertificateAuthority(s, recorder),

		Envelope:  controllers.NewEnvelope(s),
		IAMGroup:  controllers.NewIAMGroup(s, recorder),
		KMSGrant:  controllers.NewKMSGrant(s, recorder),
		IAMPolicy: controllers.NewIAMPolicy(s, recorder),
		IAMRole:   controllers.NewIAMRole(s, recorder),
		IAMUser:   controllers.NewIAMUser(s, recorder),
		Keyring:   controllers.NewKeyring(s, recorder),
	}, faulty
}

// SecretsOver makes the service of secrets with writes that go through a FaultyClient.
func (r *Reconcilers) SecretsOver(faulty *FaultyClient) *secretsmanager.Service {
	s := *r.Services.Secrets
	s.Client, s.Store = faulty, &store.Store{Client: faulty, Live: r.Services.Live}
	return &s
}
