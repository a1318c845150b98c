package mongodb

import "errors"

// maximumDigits of the iteration count that a server asks for in a login by SCRAM: up to 9,999,999, some seconds of work. MongoDB's own is
// 15,000. The driver has no limit, and does not stop when the time is over.
// https://www.rfc-editor.org/rfc/rfc5802#section-5.1
const maximumDigits = 7

var errRounds = errors.New("the server asks for too many iterations")

// rounds looks for the attribute of an iteration count in what a server sends, in whatever pieces it comes.
type rounds struct{ matched, digits int }

// excessive says whether a count of too many digits has been read.
func (r *rounds) excessive(sent []byte) bool {
	const attribute = ",i="
	for _, b := range sent {
		switch {
		case r.matched == len(attribute) && b >= '0' && b <= '9':
			if r.digits++; r.digits > maximumDigits {
				return true
			}
		case r.matched == len(attribute) && b == '+' && r.digits == 0: // which the driver reads over
		case r.matched < len(attribute) && b == attribute[r.matched]:
			r.matched++
		case b == attribute[0]:
			r.matched, r.digits = 1, 0
		default:
			r.matched, r.digits = 0, 0
		}
	}
	return false
}
