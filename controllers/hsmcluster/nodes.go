package hsmcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// maximumPIN is what a node takes, in bytes.
const maximumPIN = 256

var (
	errNoHost = errors.New("the manager was not told where HSM nodes run: start it with --hsm-image, or with --hsm-local-directory")
	errNoPIN  = errors.New("the PIN is not there")
)

// identify gives a cluster its id, and its authority and PINs before anything is made with them. What the record knows of domain keys wins over a
// status that was lost.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	status := &p.cluster.Status
	status.ClusterID = cloudhsm.ClusterID(p.cluster.Namespace, p.cluster.Name) // which the next steps name it by
	credentials, err := r.Clusters.Credentials(ctx, p.cluster)
	if err != nil {
		return err
	}
	p.credentials = credentials
	status.TrustAnchorCertificate = string(credentials.Authority.CertificatePEM())
	if len(credentials.DomainKeys) >= len(status.DomainKeys) {
		status.DomainKeys = credentials.DomainKeys
	}
	return nil
}

// wanted is what nodes are to be. A root of trust keeps one, whatever its size: without any, the next start of a manager is sealed.
func wanted(hc *v1alpha1.HSMCluster) hsmnodes.Cluster {
	size := int(hc.Spec.Size)
	if cloudhsm.Claimed(hc) {
		size = max(size, 1)
	}
	c := hsmnodes.Cluster{
		ID: cloudhsm.ClusterID(hc.Namespace, hc.Name), Owner: hc.Namespace + "/" + hc.Name, Size: size,
		FIPS: hc.Spec.Mode != v1alpha1.HSMModeNonFIPS, SoftHSM: hc.Spec.SoftHSM != nil,
	}
	if m := hc.Spec.PKCS11; m != nil {
		c.Library, c.TokenLabel = m.Library, m.TokenLabel
	}
	return c
}

// permit stops the nodes of a cluster whose library or token the operator does not let its namespace use, or no more. Nothing else of it goes: once it may again, they run again. Those of the root of trust go on:
// without them, no later start of a manager is unsealed.
func (r *Reconciler) permit(ctx context.Context, p *pass) error {
	if r.Host == nil {
		return nil // which runNodes says
	}
	c := wanted(p.cluster)
	err := r.Host.Allows(c)
	if err == nil {
		return nil
	}
	if p.root {
		return notRunning(fmt.Errorf("%w; the nodes that there are go on, without new certificates, since this cluster is the keyring's root of trust", err))
	}
	if stopped := r.Host.Stop(ctx, c); stopped != nil {
		return fmt.Errorf("stopping nodes: %w", stopped)
	}
	r.Clusters.Close(client.ObjectKeyFromObject(p.cluster))
	p.health, p.refused = &hsmclient.Health{}, true
	return notRunning(err)
}

// runNodes lets the nodes run, with a certificate that is renewed when two thirds of its life are over.
func (r *Reconciler) runNodes(ctx context.Context, p *pass) error {
	if r.Host == nil {
		return fault.Stalled(v1alpha1.ReasonNoHSMNodes, errNoHost)
	}
	c := wanted(p.cluster)
	files, err := r.files(ctx, p, c)
	if err != nil {
		return err
	}
	defer files.Wipe()
	if p.nodes, err = r.Host.Apply(ctx, c, files); err != nil {
		return notRunning(err)
	}
	if host, ok := r.Host.(hsmnodes.Noticer); ok {
		p.notice = host.Notice(c)
	}
	if len(p.nodes) == 0 { // as spec.size says: there is nobody to ask
		p.health = &hsmclient.Health{}
		r.Clusters.Close(client.ObjectKeyFromObject(p.cluster))
		return nil
	}
	var addresses []string
	for _, n := range p.nodes {
		addresses = append(addresses, n.Address)
	}
	p.client, err = r.Clusters.Connect(ctx, client.ObjectKeyFromObject(p.cluster), addresses)
	return err
}

// notRunning says why nodes cannot run, and whose it is to mend that.
func notRunning(err error) error {
	err = fmt.Errorf("running nodes: %w", err)
	switch {
	case errors.Is(err, hsmnodes.ErrLibraryNotAllowed):
		return fault.Stalled(v1alpha1.ReasonLibraryNotAllowed, err)
	case errors.Is(err, hsmnodes.ErrNoLibrary):
		return fault.Waiting(v1alpha1.ReasonNodesUnavailable, err)
	}
	return err
}

func (r *Reconciler) files(ctx context.Context, p *pass, c hsmnodes.Cluster) (*hsmnodes.Files, error) {
	names := r.Host.Names(c)
	certificate, key, err := r.Host.Certificate(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("reading the nodes' certificate: %w", err)
	}
	renewal, good := p.credentials.GoodCertificate(certificate, key, names, p.now)
	if !good {
		clear(key)
		if certificate, key, err = p.credentials.NodeCertificate(names, p.now); err != nil {
			return nil, err
		}
		renewal, _ = p.credentials.GoodCertificate(certificate, key, names, p.now)
	}
	p.renewal = renewal
	files := &hsmnodes.Files{Certificate: certificate, Key: key, Authority: p.credentials.Authority.CertificatePEM()}
	if p.cluster.Spec.PKCS11 == nil {
		files.PIN, files.SOPIN = secretbytes.Copy(p.credentials.PIN.Reveal()), secretbytes.Copy(p.credentials.SOPIN.Reveal())
		return files, nil
	}
	if files.PIN, err = r.userPIN(ctx, p); err != nil {
		clear(key)
		return nil, err
	}
	return files, nil
}

// userPIN reads the PIN that a user gives, live: core Secrets of others are not watched.
func (r *Reconciler) userPIN(ctx context.Context, p *pass) (secretbytes.Bytes, error) {
	hc := p.cluster
	ref := hc.Spec.PKCS11.PINSecretRef
	var secret corev1.Secret
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: hc.Namespace, Name: ref.Name}, &secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return secretbytes.Bytes{}, fmt.Errorf("reading the PIN: %w", err)
	}
	pin := bytes.TrimRight(secret.Data[ref.Key], "\r\n") // as the nodes read it of its file
	if err != nil || len(pin) == 0 {
		return secretbytes.Bytes{}, fault.Waiting(v1alpha1.ReasonSourceNotFound,
			fmt.Errorf("%w: key %q of core Secret %s/%s; create it, or name another in spec.pkcs11.pinSecretRef", errNoPIN, ref.Key, hc.Namespace, ref.Name))
	}
	if len(pin) > maximumPIN {
		clear(pin)
		return secretbytes.Bytes{}, fault.Waiting(v1alpha1.ReasonSourceNotFound, fmt.Errorf("%w: key %q of core Secret %s/%s has %d bytes, and a PIN has %d at most", errNoPIN, ref.Key, hc.Namespace, ref.Name, len(pin), maximumPIN))
	}
	if err := checkPIN(p.root, &secret); err != nil {
		clear(pin)
		return secretbytes.Bytes{}, err
	}
	return secretbytes.Own(pin), nil
}
