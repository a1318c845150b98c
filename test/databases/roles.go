package databases

import (
	"crypto/tls"
	"maps"
	"net"
	"path/filepath"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Roles stands before a FerretDB server and does what that lacks of MongoDB: roles of users, who may change users, and places in a replica
// set. It is no server of anybody's: what it does is what MongoDB's documentation says. All else, logins among it, is FerretDB's.
type Roles struct {
	// Port it listens on, at Host.
	Port uint16

	server   *MongoDB
	listener net.Listener

	mu sync.Mutex
	// users by DATABASE.NAME.
	users map[string]grants
	// custom are privileges by the name of a role.
	custom map[string]bson.A
	// secondary is the address of the primary, if this one is not it.
	secondary string
	// open lets anybody do anything, and silent says nothing of privileges.
	open, silent bool
	commands     []bson.D
}

// grants of a user.
type grants struct {
	roles, restrictions bson.A
}

// NewRoles starts one in front of a server, whose admin may change users. The caller closes it.
func NewRoles(server *MongoDB) (*Roles, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(server.Dir, "tls.crt"), filepath.Join(server.Dir, "tls.key"))
	if err != nil {
		return nil, err
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(Host, "0"), &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	r := &Roles{server: server, listener: listener, Port: uint16(listener.Addr().(*net.TCPAddr).Port), users: map[string]grants{}, custom: map[string]bson.A{}}
	r.Arm()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(client)
		}
	}()
	return r, nil
}

// Close ends it.
func (r *Roles) Close() error { return r.listener.Close() }

// Address is HOST:PORT.
func (r *Roles) Address() string { return r.listener.Addr().String() }

// Grant gives a user of database shop roles, each of database shop if it is a name, and no others.
func (r *Roles) Grant(user string, roles ...any) {
	r.change(func() {
		all := bson.A{}
		for _, given := range roles {
			if name, ok := given.(string); ok {
				given = bson.D{{Key: "role", Value: name}, {Key: "db", Value: "shop"}}
			}
			all = append(all, given)
		}
		of := r.users["shop."+user]
		of.roles = all
		r.users["shop."+user] = of
	})
}

// Restrict has a user of database shop come from some addresses alone, or with none from anywhere.
func (r *Roles) Restrict(user string, addresses ...string) {
	r.change(func() {
		of := r.users["shop."+user]
		of.restrictions = nil
		if len(addresses) > 0 {
			of.restrictions = bson.A{bson.D{{Key: "clientSource", Value: addresses}}}
		}
		r.users["shop."+user] = of
	})
}

// Of are the roles and restrictions of a user of database shop.
func (r *Roles) Of(user string) (roles, restrictions bson.A) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.users["shop."+user]
	return of.roles, of.restrictions
}

// Define makes a role of privileges.
func (r *Roles) Define(role string, privileges bson.A) {
	r.change(func() { r.custom[role] = privileges })
}

// Arm lets the admin change users, and Disarm does not.
func (r *Roles) Arm() {
	r.change(func() {
		r.users["admin."+r.server.Admin] = grants{roles: bson.A{bson.D{{Key: "role", Value: "userAdminAnyDatabase"}, {Key: "db", Value: "admin"}}}}
	})
}

// Disarm takes the admin's roles.
func (r *Roles) Disarm() { r.change(func() { delete(r.users, "admin."+r.server.Admin) }) }

// Follow makes it a member of a replica set whose primary is at an address, or with none a primary again.
func (r *Roles) Follow(primary string) { r.change(func() { r.secondary = primary }) }

// Open has it ask nobody for a login, and Silence say nothing of privileges.
func (r *Roles) Open(open bool) { r.change(func() { r.open = open }) }

// Silence has it say nothing of privileges, as older servers and other makers' do.
func (r *Roles) Silence(silent bool) { r.change(func() { r.silent = silent }) }

// Commands are those that changed users, since the last call.
func (r *Roles) Commands() (out []bson.D) {
	r.change(func() { out, r.commands = r.commands, nil })
	return out
}

func (r *Roles) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// serve passes messages on, with what it changes of them.
func (r *Roles) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := tls.Dial("tcp", r.server.Address(), r.server.clientTLS())
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	for {
		asked, err := readMessage(client)
		if err != nil {
			return
		}
		answer, err := r.answer(server, asked)
		if err != nil {
			return
		}
		if _, err := client.Write(answer.raw); err != nil {
			return
		}
	}
}

// ask passes a message on and reads the answer.
func ask(server net.Conn, m *message) (*message, error) {
	if _, err := server.Write(m.raw); err != nil {
		return nil, err
	}
	return readMessage(server)
}

// answer answers a message.
func (r *Roles) answer(server net.Conn, asked *message) (*message, error) {
	command := asked.body()
	if len(command) == 0 {
		return ask(server, asked)
	}
	passed := asked
	switch command[0].Key {
	case "createUser", "updateUser", "usersInfo":
		who, err := whoIs(server)
		if err != nil {
			return nil, err
		}
		if !r.may(who, command) {
			return compose(1, asked.id(), bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: "not authorized"}, {Key: "code", Value: int32(13)}, {Key: "codeName", Value: "Unauthorized"}})
		}
		if passed, err = compose(asked.id(), 0, without(command, "roles", "authenticationRestrictions", "writeConcern")); err != nil {
			return nil, err
		}
		if command[0].Key == "createUser" {
			passed, err = compose(asked.id(), 0, with(passed.body(), "roles", bson.A{}))
		}
		if err != nil {
			return nil, err
		}
	case "hello":
	default:
		return ask(server, asked)
	}
	if r.openTo(command) {
		return compose(1, asked.id(), bson.D{{Key: "users", Value: bson.A{}}, {Key: "ok", Value: 1.0}})
	}
	answer, err := ask(server, passed)
	if err != nil {
		return nil, err
	}
	return compose(1, asked.id(), r.revise(command, answer.body()))
}

// whoIs is the user of a connection, as DATABASE.NAME, empty if nobody has logged in.
func whoIs(server net.Conn) (string, error) {
	m, err := compose(1, 0, bson.D{{Key: "connectionStatus", Value: 1}, {Key: "$db", Value: "admin"}})
	if err != nil {
		return "", err
	}
	answer, err := ask(server, m)
	if err != nil {
		return "", err
	}
	info, _ := member(answer.body(), "authInfo").(bson.D)
	users, _ := member(info, "authenticatedUsers").(bson.A)
	if len(users) == 0 {
		return "", nil
	}
	u, _ := users[0].(bson.D)
	name, _ := member(u, "user").(string)
	database, _ := member(u, "db").(string)
	return database + "." + name, nil
}

// subject is the user that a command is about, as DATABASE.NAME.
func subject(command bson.D) string {
	database, _ := member(command, "$db").(string)
	name, ok := command[0].Value.(string)
	if of, is := command[0].Value.(bson.D); is && !ok {
		database, _ = member(of, "db").(string)
		name, _ = member(of, "user").(string)
	}
	return database + "." + name
}

// openTo says whether a command is answered to anybody.
func (r *Roles) openTo(command bson.D) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open && command[0].Key == "usersInfo"
}

// may says whether a user may run a command about users.
func (r *Roles) may(who string, command bson.D) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	needs := map[string]string{"createUser": "createUser", "updateUser": "changePassword", "usersInfo": "viewUser"}[command[0].Key]
	about := subject(command)
	if r.open || command[0].Key == "usersInfo" && who == about && who != "" {
		return true
	}
	own := command[0].Key == "updateUser" && who == about && member(command, "roles") == nil
	for _, p := range r.privileges(r.users[who].roles) {
		actions, _ := member(p.(bson.D), "actions").(bson.A)
		for _, action := range actions {
			if action == needs || own && action == "changeOwnPassword" {
				return true
			}
		}
	}
	return false
}

// revise changes an answer to what MongoDB's would be.
func (r *Roles) revise(command, answer bson.D) bson.D {
	r.mu.Lock()
	defer r.mu.Unlock()
	about := subject(command)
	switch ok, _ := member(answer, "ok").(float64); {
	case ok != 1:
	case command[0].Key == "hello":
		if r.secondary != "" {
			answer = with(with(with(answer, "isWritablePrimary", false), "secondary", true), "primary", r.secondary)
		}
	case command[0].Key == "usersInfo":
		users, _ := member(answer, "users").(bson.A)
		for n := range users {
			users[n] = r.describe(about, users[n].(bson.D))
		}
		answer = with(answer, "users", users)
	default:
		of := maps.Clone(r.users)[about]
		if roles, has := member(command, "roles").(bson.A); has {
			of.roles = roles
		}
		if restrictions, has := member(command, "authenticationRestrictions").(bson.A); has {
			of.restrictions = restrictions
		}
		r.users[about] = of
		r.commands = append(r.commands, without(command, "lsid", "$db"))
	}
	return answer
}

// describe adds to what FerretDB says of a user.
func (r *Roles) describe(name string, user bson.D) bson.D {
	of := r.users[name]
	user = with(without(user, "inheritedPrivileges"), "roles", append(bson.A{}, of.roles...))
	user = with(user, "authenticationRestrictions", append(bson.A{}, of.restrictions...))
	if r.silent {
		return user
	}
	return with(user, "inheritedPrivileges", append(bson.A{}, r.privileges(of.roles)...))
}

// privileges of roles. https://www.mongodb.com/docs/manual/reference/built-in-roles/
func (r *Roles) privileges(roles bson.A) (out bson.A) {
	for _, given := range roles {
		name, _ := member(given.(bson.D), "role").(string)
		database, _ := member(given.(bson.D), "db").(string)
		if custom, is := r.custom[name]; is {
			out = append(out, custom...)
			continue
		}
		actions := map[string]bson.A{
			"read": {"find", "listCollections", "changeStream"}, "readWrite": {"find", "insert", "update", "remove", "createIndex"},
			"userAdmin":            {"createUser", "changePassword", "viewUser", "grantRole"},
			"userAdminAnyDatabase": {"createUser", "changePassword", "viewUser", "grantRole", "revokeRole"},
		}[name]
		if name == "userAdminAnyDatabase" {
			database = ""
		}
		out = append(out, bson.D{
			{Key: "resource", Value: bson.D{{Key: "db", Value: database}, {Key: "collection", Value: ""}}}, {Key: "actions", Value: actions},
		})
	}
	return out
}
