package mongodb

import (
	"bytes"
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// user is what usersInfo says of one, with showPrivileges and showAuthenticationRestrictions.
// https://www.mongodb.com/docs/manual/reference/command/usersInfo/
type user struct {
	Username   string   `bson:"user"`
	Database   string   `bson:"db"`
	Mechanisms []string `bson:"mechanisms"`
	Roles      []role   `bson:"roles"`
	// Privileges of all roles and of those that they inherit. nil from a server that does not say.
	Privileges *[]privilege `bson:"inheritedPrivileges"`
	// Restrictions of where it may come from, as the server has them.
	Restrictions []bson.Raw `bson:"authenticationRestrictions"`
}

// role of a database.
type role struct {
	Role     string `bson:"role"`
	Database string `bson:"db"`
}

// privilege is what may be done to a resource.
// https://www.mongodb.com/docs/manual/reference/resource-document/
type privilege struct {
	Resource bson.M   `bson:"resource"`
	Actions  []string `bson:"actions"`
}

// user reads a user, nil if there is none.
func (s *session) user(ctx context.Context, database, username string) (*user, error) {
	answer, err := s.run(ctx, database, bson.D{
		{Key: "usersInfo", Value: bson.D{{Key: "user", Value: username}, {Key: "db", Value: database}}},
		{Key: "showPrivileges", Value: true},
		{Key: "showAuthenticationRestrictions", Value: true},
	})
	if err != nil {
		return nil, err
	}
	return parseUsers(answer, database, username)
}

// parseUsers reads what usersInfo answers of one user.
func parseUsers(answer bson.Raw, database, username string) (*user, error) {
	var list struct {
		Users *[]user `bson:"users"`
	}
	if bson.Unmarshal(answer, &list) != nil || list.Users == nil || len(*list.Users) > 1 {
		return nil, notUnderstood()
	}
	if len(*list.Users) == 0 {
		return nil, nil
	}
	u := &(*list.Users)[0]
	if u.Username != username || u.Database != database {
		return nil, notUnderstood()
	}
	return u, nil
}

func notUnderstood() error {
	return rotation.Because(rotation.ErrServer, "what it says of itself or of a user is not understood")
}

// create makes a user that has a pattern's roles and restrictions, none if that is nil.
// https://www.mongodb.com/docs/manual/reference/command/createUser/
func create(username string, password secretbytes.Bytes, pattern *user) bson.D {
	out := bson.D{{Key: "createUser", Value: username}, {Key: "pwd", Value: string(password.Reveal())}, {Key: "mechanisms", Value: pattern.mechanisms()}}
	if pattern == nil {
		pattern = &user{}
	}
	out = append(out, bson.E{Key: "roles", Value: pattern.roles()})
	if len(pattern.Restrictions) > 0 {
		out = append(out, bson.E{Key: "authenticationRestrictions", Value: pattern.Restrictions})
	}
	return append(out, majority()...)
}

// update gives the user a password, and a pattern's roles and restrictions where it has others: to change roles an admin needs the action
// revokeRole on all databases, which it does not need otherwise.
// https://www.mongodb.com/docs/manual/reference/command/updateUser/
func (u *user) update(password secretbytes.Bytes, pattern *user) bson.D {
	out := bson.D{{Key: "updateUser", Value: u.Username}, {Key: "pwd", Value: string(password.Reveal())}, {Key: "mechanisms", Value: u.mechanisms()}}
	if !slices.Equal(u.roles(), pattern.roles()) {
		out = append(out, bson.E{Key: "roles", Value: pattern.roles()})
	}
	if !slices.EqualFunc(u.Restrictions, pattern.Restrictions, func(a, b bson.Raw) bool { return bytes.Equal(a, b) }) {
		out = append(out, bson.E{Key: "authenticationRestrictions", Value: append([]bson.Raw{}, pattern.Restrictions...)})
	}
	return append(out, majority()...)
}

// majority has a replica set keep a change when it changes its primary. The password goes to the server as it is (digestPassword is true
// where it is not named): SCRAM-SHA-256 has no other way. The server takes it out of its logs.
// https://www.mongodb.com/docs/manual/reference/write-concern/
func majority() bson.D {
	return bson.D{{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: confirmation.Milliseconds()}}}}
}

// mechanisms that the user has, and the one by which logins are proven here.
func (u *user) mechanisms() []string {
	if u == nil || slices.Contains(u.Mechanisms, mechanism) && len(u.Mechanisms) == 1 {
		return []string{mechanism}
	}
	out := []string{mechanism}
	if slices.Contains(u.Mechanisms, "SCRAM-SHA-1") {
		out = append(out, "SCRAM-SHA-1")
	}
	return out
}

// roles in an order of their own, so that they can be compared.
func (u *user) roles() []role {
	out := append([]role{}, u.Roles...)
	slices.SortFunc(out, func(a, b role) int {
		return bytes.Compare([]byte(a.Database+"\x00"+a.Role), []byte(b.Database+"\x00"+b.Role))
	})
	return out
}
