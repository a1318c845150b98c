//go:build cgo

package module

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

// Supported tells whether this build can load PKCS#11 modules.
const Supported = true

// Module is a token. It is safe for concurrent use.
type Module struct {
	ctx   *pkcs11.Ctx
	label string
	oaep  oaep
	// labels of all initialised tokens when they were looked at last.
	labels []string

	// login is held for reading by whatever needs the user to be logged in, and for writing by whatever changes who is.
	login    sync.RWMutex
	slot     uint
	found    bool
	loggedIn bool
	keeper   pkcs11.SessionHandle // owns the session objects, which live as long as it
	sessions chan pkcs11.SessionHandle
	epochs   map[int64]epochKeys
	newest   int64

	keeping   sync.Mutex // held while the keeper works
	cache     *cache
	transport *transport
}

// Load loads the library and looks for the token. A token that is not there is one to initialise.
func Load(request *hsmpb.OpenRequest) (*Module, error) {
	if _, err := os.Stat(request.GetLibrary()); err != nil {
		return nil, fmt.Errorf("%w: there is no library to load: %w; name one that is in the node's image, by --library, or by spec.pkcs11.library of the HSMCluster", hsm.ErrModule, err)
	}
	oaep, err := oaepOf(request.GetOaepHash())
	if err != nil {
		return nil, err
	}
	ctx := pkcs11.New(request.GetLibrary())
	if ctx == nil {
		return nil, fmt.Errorf("%w: %s cannot be loaded; it is no PKCS#11 library, or lacks a library that it needs", hsm.ErrModule, request.GetLibrary())
	}
	if err := ctx.Initialize(); err != nil {
		return nil, wrap("C_Initialize", err)
	}
	sessions := int(request.GetSessions())
	if sessions < 1 || sessions > 64 {
		return nil, fmt.Errorf("%w: %d sessions; give 1 to 64", hsm.ErrInvalidArgument, sessions)
	}
	m := &Module{ctx: ctx, label: request.GetTokenLabel(), oaep: oaep, sessions: make(chan pkcs11.SessionHandle, sessions)}
	m.cache = newCache(int(request.GetMaxCachedKeys()), m.destroy)
	return m, m.find()
}

// find looks for the slot of the token with the label. The caller holds login for writing, or nobody else has m yet.
func (m *Module) find() error {
	slots, err := m.ctx.GetSlotList(true)
	if err != nil {
		return wrap("C_GetSlotList", err)
	}
	m.found, m.labels = false, nil
	for _, slot := range slots {
		info, err := m.ctx.GetTokenInfo(slot)
		if err != nil {
			return wrap("C_GetTokenInfo", err)
		}
		if info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue
		}
		label := text(info.Label)
		if m.labels = append(m.labels, label); label != m.label {
			continue
		}
		if m.found {
			return fmt.Errorf("%w: there are two tokens with the label %q; give them different ones", hsm.ErrInvalidArgument, m.label)
		}
		m.slot, m.found = slot, true
	}
	return nil
}

// Describe is what the module says of itself.
func (m *Module) Describe() (*hsmpb.ModuleInfo, error) {
	info, err := m.ctx.GetInfo()
	if err != nil {
		return nil, wrap("C_GetInfo", err)
	}
	out := &hsmpb.ModuleInfo{
		Manufacturer: text(info.ManufacturerID), Description: text(info.LibraryDescription),
		LibraryVersion: version(info.LibraryVersion), CryptokiVersion: version(info.CryptokiVersion),
	}
	if !m.found {
		return out, nil
	}
	token, err := m.ctx.GetTokenInfo(m.slot)
	if err != nil {
		return nil, wrap("C_GetTokenInfo", err)
	}
	out.Model, out.SerialNumber = text(token.Model), text(token.SerialNumber)
	out.FirmwareVersion, out.HardwareVersion = version(token.FirmwareVersion), version(token.HardwareVersion)
	return out, nil
}

// text makes what a vendor wrote fit for a protocol buffer.
func text(s string) string { return strings.TrimRight(strings.ToValidUTF8(s, "?"), " \x00") }

func version(v pkcs11.Version) string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// TokenState is what can be told without a login.
func (m *Module) TokenState() (*hsmpb.TokenState, error) {
	m.login.RLock()
	defer m.login.RUnlock()
	return m.tokenState()
}

func (m *Module) tokenState() (*hsmpb.TokenState, error) {
	if !m.found {
		return &hsmpb.TokenState{}, nil
	}
	info, err := m.ctx.GetTokenInfo(m.slot)
	if err != nil {
		return nil, wrap("C_GetTokenInfo", err)
	}
	has := func(flag uint) bool { return info.Flags&flag != 0 }
	return &hsmpb.TokenState{
		Initialized: true, UserPinInitialized: has(pkcs11.CKF_USER_PIN_INITIALIZED),
		UserPinCountLow: has(pkcs11.CKF_USER_PIN_COUNT_LOW), UserPinFinalTry: has(pkcs11.CKF_USER_PIN_FINAL_TRY),
		UserPinLocked: has(pkcs11.CKF_USER_PIN_LOCKED), SoPinCountLow: has(pkcs11.CKF_SO_PIN_COUNT_LOW),
		SoPinFinalTry: has(pkcs11.CKF_SO_PIN_FINAL_TRY), SoPinLocked: has(pkcs11.CKF_SO_PIN_LOCKED),
	}, nil
}

// Capacity is what is left. PKCS#11 has two ways to say that it does not say.
func (m *Module) Capacity() (*hsmpb.Capacity, error) {
	m.login.RLock()
	defer m.login.RUnlock()
	c := &hsmpb.Capacity{FreePublicMemoryBytes: -1, FreePrivateMemoryBytes: -1, FreeSessions: -1, OpenSessions: -1}
	c.CachedKeys, c.MaxCachedKeys = int64(m.cache.len()), int64(m.cache.size)
	if !m.found {
		return c, nil
	}
	info, err := m.ctx.GetTokenInfo(m.slot)
	if err != nil {
		return nil, wrap("C_GetTokenInfo", err)
	}
	known := func(n uint) int64 {
		if n == pkcs11.CK_UNAVAILABLE_INFORMATION || int64(n) < 0 {
			return -1
		}
		return int64(n)
	}
	c.FreePublicMemoryBytes, c.FreePrivateMemoryBytes = known(info.FreePublicMemory), known(info.FreePrivateMemory)
	c.OpenSessions = known(info.SessionCount)
	if most := known(info.MaxSessionCount); most > 0 && c.OpenSessions >= 0 { // 0 is CK_EFFECTIVELY_INFINITE
		c.FreeSessions = most - c.OpenSessions
	}
	return c, nil
}

// lost are the errors after which sessions, logins or objects may be gone. The process that loads the module starts anew then.
var lost = map[pkcs11.Error]bool{
	pkcs11.CKR_DEVICE_ERROR: true, pkcs11.CKR_DEVICE_REMOVED: true, pkcs11.CKR_DEVICE_MEMORY: true, pkcs11.CKR_TOKEN_NOT_PRESENT: true,
	pkcs11.CKR_TOKEN_NOT_RECOGNIZED: true, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED: true, pkcs11.CKR_SESSION_HANDLE_INVALID: true,
	pkcs11.CKR_SESSION_CLOSED: true, pkcs11.CKR_USER_NOT_LOGGED_IN: true, pkcs11.CKR_OBJECT_HANDLE_INVALID: true, pkcs11.CKR_KEY_HANDLE_INVALID: true,
	pkcs11.CKR_HOST_MEMORY: true, pkcs11.CKR_OPERATION_ACTIVE: true,
}

var known = map[pkcs11.Error]error{
	pkcs11.CKR_PIN_INCORRECT: hsm.ErrWrongPIN, pkcs11.CKR_PIN_LOCKED: hsm.ErrPINLocked, pkcs11.CKR_PIN_EXPIRED: hsm.ErrPINLocked,
	pkcs11.CKR_PIN_INVALID: hsm.ErrInvalidArgument, pkcs11.CKR_PIN_LEN_RANGE: hsm.ErrInvalidArgument,
	pkcs11.CKR_MECHANISM_INVALID: hsm.ErrUnsupported, pkcs11.CKR_FUNCTION_NOT_SUPPORTED: hsm.ErrUnsupported,
}

// wrap says which function failed, and what kind of failure that is.
func wrap(function string, err error) error {
	var code pkcs11.Error
	if !errors.As(err, &code) {
		return fmt.Errorf("%w: %s: %w", hsm.ErrModule, function, err)
	}
	kind := hsm.ErrModule
	if k, ok := known[code]; ok {
		kind = k
	} else if lost[code] {
		kind = hsm.ErrModuleLost
	}
	return fmt.Errorf("%w: %s answered %w", kind, function, code)
}
