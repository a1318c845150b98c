package iam

// MaximumWork is what all questions of one request may cost together, in steps of [Work]: a tenth of a second or less. The largest
// policies that there can be, 25 of 6,144 characters, take a hundredth of it unless somebody wrote them for that.
const MaximumWork = 1 << 25

// Meter counts what is left of the work that a request may cause. The zero Meter has nothing left. It is not safe for concurrent use: a
// request asks one question after the other.
type Meter struct{ left int64 }

// NewMeter is one with [MaximumWork].
func NewMeter() *Meter { return &Meter{left: MaximumWork} }

// spend takes so many steps. It tells whether they were there.
func (m *Meter) spend(steps int64) bool {
	m.left -= steps
	return m.left >= 0
}

// spent tells whether more was taken than there was: nothing that is found then is to be believed.
func (m *Meter) spent() bool { return m.left < 0 }

// comparing is what any comparison costs besides what is compared.
const comparing = 4

// parsing is what it costs to read a number, a date, an address or base64: some formats are tried, and what does not fit makes an error.
func parsing(value string) int64 { return 512 + 4*int64(len(value)) }
