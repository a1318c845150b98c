package databases

import (
	"encoding/binary"
	"errors"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// opMessage is the opcode of the messages that carry commands.
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
const opMessage = 2013

// message of MongoDB's protocol.
type message struct {
	raw []byte
}

// readMessage reads one.
func readMessage(from io.Reader) (*message, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(length[:])
	if size < 16 || size > 48<<20 {
		return nil, errors.New("no message of MongoDB's protocol")
	}
	m := &message{make([]byte, size)}
	copy(m.raw, length[:])
	_, err := io.ReadFull(from, m.raw[4:])
	return m, err
}

// id of the message, and of the one that it answers.
func (m *message) id() uint32 { return binary.LittleEndian.Uint32(m.raw[4:]) }

// body is the message's document, nil if it carries no command.
func (m *message) body() bson.D {
	const header = 16 + 4 + 1
	if len(m.raw) < header || binary.LittleEndian.Uint32(m.raw[12:]) != opMessage || m.raw[header-1] != 0 {
		return nil
	}
	var out bson.D
	if bson.Unmarshal(m.raw[header:], &out) != nil {
		return nil
	}
	return out
}

// compose makes a message of a document.
func compose(id, answers uint32, body bson.D) (*message, error) {
	document, err := bson.Marshal(body)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, n := range []uint32{uint32(21 + len(document)), id, answers, opMessage, 0} {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	return &message{append(append(out, 0), document...)}, nil
}

// member of a document, nil if there is none.
func member(of bson.D, name string) any {
	for _, e := range of {
		if e.Key == name {
			return e.Value
		}
	}
	return nil
}

// with is a document with a member that has another value.
func with(of bson.D, name string, value any) bson.D {
	return append(without(of, name), bson.E{Key: name, Value: value})
}

// without is a document without some members.
func without(of bson.D, names ...string) (out bson.D) {
	for _, e := range of {
		drop := false
		for _, name := range names {
			drop = drop || e.Key == name
		}
		if !drop {
			out = append(out, e)
		}
	}
	return out
}
