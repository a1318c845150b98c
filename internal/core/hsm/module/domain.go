//go:build cgo

package module

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

const (
	domainLabel   = "strongroom/domain/"
	wrappingLabel = "strongroom/wrapping/"
	maxEpoch      = 1<<32 - 1
)

// epochKeys are the two keys of an epoch, and their key check values.
type epochKeys struct {
	domain, wrapping           pkcs11.ObjectHandle
	domainCheck, wrappingCheck []byte
}

func (k epochKeys) message(epoch int64) *hsmpb.DomainKey {
	return &hsmpb.DomainKey{Epoch: epoch, KeyCheckValue: k.domainCheck, WrappingKeyCheckValue: k.wrappingCheck}
}

// domainTemplate is that of both keys, made here or cloned. The caller adds the class and what the key is for.
func domainTemplate(label string, purposes ...uint) []*pkcs11.Attribute {
	template := []*pkcs11.Attribute{
		attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_PRIVATE, true), attr(pkcs11.CKA_LABEL, label), attr(pkcs11.CKA_SENSITIVE, true),
		attr(pkcs11.CKA_EXTRACTABLE, true), attr(pkcs11.CKA_WRAP_WITH_TRUSTED, true),
		attr(pkcs11.CKA_SIGN, true), // for the key check value
	}
	for _, purpose := range []uint{pkcs11.CKA_ENCRYPT, pkcs11.CKA_DECRYPT, pkcs11.CKA_WRAP, pkcs11.CKA_UNWRAP, pkcs11.CKA_DERIVE, pkcs11.CKA_VERIFY} {
		template = append(template, attr(purpose, slices.Contains(purposes, purpose)))
	}
	return template
}

func domainKeyTemplate(epoch int64) []*pkcs11.Attribute {
	return domainTemplate(domainLabel+strconv.FormatInt(epoch, 10), pkcs11.CKA_ENCRYPT, pkcs11.CKA_DECRYPT)
}

// wrappingKeyTemplate has what the token holds every unwrapped key to, whatever is asked of it: it stays inside.
func wrappingKeyTemplate(epoch int64) (attributes []*pkcs11.Attribute, free func()) {
	inside, free := template(pkcs11.CKA_UNWRAP_TEMPLATE, attr(pkcs11.CKA_SENSITIVE, true), attr(pkcs11.CKA_EXTRACTABLE, false))
	return append(domainTemplate(wrappingLabel+strconv.FormatInt(epoch, 10), pkcs11.CKA_WRAP, pkcs11.CKA_UNWRAP), inside), free
}

// LookAgain finds the domain keys that another node of the same token has made since this one logged in, as long as it knows of none.
func (m *Module) LookAgain() error {
	m.login.RLock()
	known := !m.loggedIn || len(m.epochs) > 0
	m.login.RUnlock()
	if known {
		return nil
	}
	m.login.Lock()
	defer m.login.Unlock()
	if !m.loggedIn || len(m.epochs) > 0 {
		return nil
	}
	return m.findDomainKeys()
}

// findDomainKeys reads which epochs the token has. The caller holds login for writing. A wrapping key without its domain key is none: another node of
// the same token may be making them at the moment, the wrapping key first, which is why domain keys are looked for first.
func (m *Module) findDomainKeys() error {
	domain, err := m.labelled(domainLabel)
	if err != nil {
		return err
	}
	wrapping, err := m.labelled(wrappingLabel)
	if err != nil {
		return err
	}
	m.epochs, m.newest = map[int64]epochKeys{}, 0
	for epoch, d := range domain {
		w, ok := wrapping[epoch]
		if !ok {
			return fmt.Errorf("%w: the token has the domain key of epoch %d without its wrapping key; it is damaged: set up the node anew", hsm.ErrModule, epoch)
		}
		keys := epochKeys{domain: d, wrapping: w}
		if keys.domainCheck, err = m.checkValue(d); err != nil {
			return err
		}
		if keys.wrappingCheck, err = m.checkValue(w); err != nil {
			return err
		}
		m.epochs[epoch], m.newest = keys, max(m.newest, epoch)
	}
	return nil
}

// makeRoom removes the wrapping key of an epoch that has no domain key: a crash came before that, so nothing was ever wrapped with it.
func (m *Module) makeRoom(epoch int64) error {
	wrapping, err := m.labelled(wrappingLabel)
	if err != nil {
		return err
	}
	if w, there := wrapping[epoch]; there {
		if err := m.ctx.DestroyObject(m.keeper, w); err != nil {
			return wrap("C_DestroyObject", err)
		}
	}
	return nil
}

// labelled finds the secret keys on the token whose label is prefix and an epoch. PKCS#11 finds by whole labels alone.
func (m *Module) labelled(prefix string) (map[int64]pkcs11.ObjectHandle, error) {
	search := []*pkcs11.Attribute{attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attr(pkcs11.CKA_TOKEN, true)}
	if err := m.ctx.FindObjectsInit(m.keeper, search); err != nil {
		return nil, wrap("C_FindObjectsInit", err)
	}
	const most = 4*hsm.MaxDomainKeys + 1
	objects, _, err := m.ctx.FindObjects(m.keeper, most)
	if ended := m.ctx.FindObjectsFinal(m.keeper); err == nil {
		err = ended
	}
	if err != nil {
		return nil, wrap("C_FindObjects", err)
	}
	if len(objects) == most {
		return nil, fmt.Errorf("%w: the token has more than %d secret keys; give Strongroom a token of its own", hsm.ErrModule, most-1)
	}
	found := map[int64]pkcs11.ObjectHandle{}
	for _, object := range objects {
		label, err := m.ctx.GetAttributeValue(m.keeper, object, []*pkcs11.Attribute{attr(pkcs11.CKA_LABEL, nil)})
		if err != nil {
			return nil, wrap("C_GetAttributeValue", err)
		}
		number, ok := strings.CutPrefix(string(label[0].Value), prefix)
		epoch, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || epoch < 1 || epoch > maxEpoch {
			continue // somebody else's
		}
		if _, twice := found[epoch]; twice {
			return nil, fmt.Errorf("%w: the token has two keys with the label %q; it is damaged: set up the node anew", hsm.ErrModule, label[0].Value)
		}
		found[epoch] = object
	}
	return found, nil
}

// checkValue is AES-CMAC of a block of zeros, cut: it says nothing of the block that AES-GCM derives its hash key from, as the
// encryption of a block of zeros would.
func (m *Module) checkValue(key pkcs11.ObjectHandle) ([]byte, error) {
	if err := m.ctx.SignInit(m.keeper, one(pkcs11.CKM_AES_CMAC, nil), key); err != nil {
		return nil, wrap("C_SignInit for a key check value", err)
	}
	mac, err := m.ctx.Sign(m.keeper, make([]byte, 16))
	if err != nil {
		return nil, wrap("C_Sign for a key check value", err)
	}
	if len(mac) < hsm.CheckValueSize {
		return nil, fmt.Errorf("%w: an AES-CMAC of %d bytes", hsm.ErrModule, len(mac))
	}
	return mac[:hsm.CheckValueSize], nil
}

// CreateDomainKey makes both keys of an epoch inside of the token. The domain key comes last and is what makes it true.
func (m *Module) CreateDomainKey(epoch int64) (*hsmpb.DomainKey, error) {
	m.login.Lock()
	defer m.login.Unlock()
	if err := m.takes(epoch); err != nil {
		return nil, err
	}
	if err := m.findDomainKeys(); err != nil { // another node of the same token may have made it
		return nil, err
	}
	if _, ok := m.epochs[epoch]; ok {
		return nil, fmt.Errorf("%w: epoch %d", hsm.ErrExists, epoch)
	}
	if err := m.makeRoom(epoch); err != nil {
		return nil, err
	}
	wrapping, free := wrappingKeyTemplate(epoch)
	defer free()
	for _, attributes := range [][]*pkcs11.Attribute{wrapping, domainKeyTemplate(epoch)} {
		if _, err := m.ctx.GenerateKey(m.keeper, one(pkcs11.CKM_AES_KEY_GEN, nil), append(attributes, attr(pkcs11.CKA_VALUE_LEN, hsm.KeySize))); err != nil {
			return nil, wrap("C_GenerateKey of a domain key", err)
		}
	}
	if err := m.findDomainKeys(); err != nil {
		return nil, err
	}
	return m.epochs[epoch].message(epoch), nil
}

func (m *Module) takes(epoch int64) error {
	if !m.loggedIn {
		return hsm.ErrUninitialized
	}
	if epoch < 1 || epoch > maxEpoch {
		return fmt.Errorf("%w: epochs count from 1, and this is %d", hsm.ErrInvalidArgument, epoch)
	}
	if len(m.epochs) >= hsm.MaxDomainKeys {
		return fmt.Errorf("%w: the token has %d domain keys, which is the limit", hsm.ErrInvalidArgument, hsm.MaxDomainKeys)
	}
	return nil
}

// DomainKeys are the epochs that the token has, in order.
func (m *Module) DomainKeys() []*hsmpb.DomainKey {
	m.login.RLock()
	defer m.login.RUnlock()
	return m.domainKeys()
}

func (m *Module) domainKeys() []*hsmpb.DomainKey {
	var out []*hsmpb.DomainKey
	for _, epoch := range slices.Sorted(maps.Keys(m.epochs)) {
		out = append(out, m.epochs[epoch].message(epoch))
	}
	return out
}

// epoch finds the keys of an epoch, the newest for 0.
func (m *Module) epoch(epoch int64) (int64, epochKeys, error) {
	if len(m.epochs) == 0 {
		return 0, epochKeys{}, hsm.ErrNoDomainKey
	}
	if epoch == 0 {
		epoch = m.newest
	}
	keys, ok := m.epochs[epoch]
	if !ok {
		return 0, epochKeys{}, fmt.Errorf("%w: %d; the newest is %d", hsm.ErrUnknownEpoch, epoch, m.newest)
	}
	return epoch, keys, nil
}

func same(a, b *hsmpb.DomainKey) bool {
	return bytes.Equal(a.GetKeyCheckValue(), b.GetKeyCheckValue()) && bytes.Equal(a.GetWrappingKeyCheckValue(), b.GetWrappingKeyCheckValue())
}
