//go:build cgo

package module

import (
	"fmt"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// Login logs the user in and opens the sessions. It tries the PIN once.
func (m *Module) Login(pin []byte) error {
	m.login.Lock()
	defer m.login.Unlock()
	if !m.found {
		return fmt.Errorf("%w: there is none with the label %q", hsm.ErrUninitialized, m.label)
	}
	if m.loggedIn {
		return nil
	}
	if err := m.openSessions(); err != nil {
		return err
	}
	return m.loginUser(pin)
}

func (m *Module) openSessions() error {
	if m.keeper != 0 {
		return nil
	}
	open := func() (pkcs11.SessionHandle, error) {
		session, err := m.ctx.OpenSession(m.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		if err != nil {
			return 0, wrap("C_OpenSession", err)
		}
		return session, nil
	}
	var err error
	if m.keeper, err = open(); err != nil {
		return err
	}
	for range cap(m.sessions) {
		session, err := open()
		if err != nil {
			return err
		}
		m.sessions <- session
	}
	return nil
}

// loginUser logs in and finds the domain keys: handles of private objects are others after each login. The caller holds login for writing.
func (m *Module) loginUser(pin []byte) error {
	if err := m.ctx.Login(m.keeper, pkcs11.CKU_USER, string(pin)); err != nil {
		return wrap("C_Login of the user", err)
	}
	m.loggedIn = true
	return m.findDomainKeys()
}

// logout ends the user's login, and with it all private session objects. The caller holds login for writing.
func (m *Module) logout() error {
	m.loggedIn = false
	m.cache.forget()
	m.transport = nil
	if err := m.ctx.Logout(m.keeper); err != nil {
		return wrap("C_Logout", err)
	}
	return nil
}

// Initialize initialises the token as far as it is not: a crash between its two steps leaves a token with the label and without a
// user PIN, which it goes on with.
func (m *Module) Initialize(soPIN, pin []byte) error {
	m.login.Lock()
	defer m.login.Unlock()
	if err := m.find(); err != nil {
		return err
	}
	if !m.found {
		if err := m.initToken(soPIN); err != nil {
			return err
		}
	}
	state, err := m.tokenState()
	if err != nil || state.GetUserPinInitialized() {
		return err
	}
	session, err := m.ctx.OpenSession(m.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return wrap("C_OpenSession", err)
	}
	defer m.ctx.CloseSession(session) //nolint:errcheck // it is of no more use, open or closed
	if err := m.ctx.Login(session, pkcs11.CKU_SO, string(soPIN)); err != nil {
		return wrap("C_Login of the security officer", err)
	}
	defer m.ctx.Logout(session) //nolint:errcheck // closing the last session logs out too
	if err := m.ctx.InitPIN(session, string(pin)); err != nil {
		return wrap("C_InitPIN", err)
	}
	return nil
}

// initToken initialises the first empty token, and never one that is initialised.
func (m *Module) initToken(soPIN []byte) error {
	slots, err := m.ctx.GetSlotList(true)
	if err != nil {
		return wrap("C_GetSlotList", err)
	}
	for _, slot := range slots {
		info, err := m.ctx.GetTokenInfo(slot)
		if err != nil {
			return wrap("C_GetTokenInfo", err)
		}
		if info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 {
			continue
		}
		if err := m.ctx.InitToken(slot, string(soPIN), m.label); err != nil {
			return wrap("C_InitToken", err)
		}
		if err := m.find(); err != nil { // the slot may have another number now
			return err
		}
		if !m.found {
			return fmt.Errorf("%w: the token that was initialised is not there", hsm.ErrModule)
		}
		return nil
	}
	return fmt.Errorf("%w: there is no token with the label %q and no empty one to initialise", hsm.ErrUninitialized, m.label)
}

// use lends a session of the pool to do, with the user logged in.
func (m *Module) use(do func(pkcs11.SessionHandle) error) error {
	m.login.RLock()
	defer m.login.RUnlock()
	return m.lend(do)
}

func (m *Module) lend(do func(pkcs11.SessionHandle) error) error {
	if !m.found || !m.loggedIn {
		return fmt.Errorf("%w: nobody is logged in", hsm.ErrUninitialized)
	}
	session := <-m.sessions
	defer func() { m.sessions <- session }()
	return do(session)
}

// keep lends the keeper's session, whose session objects stay.
func (m *Module) keep(do func(pkcs11.SessionHandle) error) error {
	m.keeping.Lock()
	defer m.keeping.Unlock()
	return do(m.keeper)
}

func (m *Module) destroy(objects ...pkcs11.ObjectHandle) {
	_ = m.keep(func(session pkcs11.SessionHandle) error {
		for _, object := range objects {
			_ = m.ctx.DestroyObject(session, object) // a session object: it is gone with the process at the latest
		}
		return nil
	})
}

// Random makes random bytes.
func (m *Module) Random(size int) (random []byte, err error) {
	if size < 1 || size > hsm.MaxRandom {
		return nil, fmt.Errorf("%w: %d random bytes; ask for 1 to %d", hsm.ErrInvalidArgument, size, hsm.MaxRandom)
	}
	err = m.use(func(session pkcs11.SessionHandle) error {
		random, err = m.random(session, size)
		return err
	})
	return random, err
}

func (m *Module) random(session pkcs11.SessionHandle, size int) ([]byte, error) {
	random, err := m.ctx.GenerateRandom(session, size)
	if err != nil {
		return nil, wrap("C_GenerateRandom", err)
	}
	if len(random) != size {
		return nil, fmt.Errorf("%w: C_GenerateRandom made %d bytes of %d", hsm.ErrModule, len(random), size)
	}
	return random, nil
}
