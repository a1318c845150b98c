package limits

import (
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// notNull is what a required member fails when it isn't there.
const notNull = "Member must not be null"

// failed are the constraints that a value fails, in the order in which AWS tells them: DynamoDB's answers have enum and
// pattern before lengths (github.com/architect/dynalite's tests, recorded from the service). Nothing is built if none is.
func (s *Shape) failed(value scalar) (constraints []string) {
	if s.Enum != nil && !s.inEnum(value.text) {
		constraints = append(constraints, s.enumText())
	}
	if s.expressions != nil && !s.matches(value.text) {
		constraints = append(constraints, s.patternText())
	}
	if s.Min != nil && s.under(value) {
		constraints = append(constraints, s.minimumText())
	}
	if s.Max != nil && s.over(value) {
		constraints = append(constraints, s.maximumText())
	}
	return constraints
}

// scalar is a value as constraints see it: the text of a string, and the number, or how many bytes or entries there are.
type scalar struct {
	text string
	size int64
}

// under and over count a string's UTF-16 units only if its bytes leave a doubt: a unit has one to three of them.
func (s *Shape) under(value scalar) bool {
	if s.Type != table.String {
		return value.size < *s.Min
	}
	return value.size < 3**s.Min && units(value.text) < *s.Min
}

func (s *Shape) over(value scalar) bool {
	return value.size > *s.Max && (s.Type != table.String || units(value.text) > *s.Max)
}

func (s *Shape) inEnum(value string) bool {
	for _, v := range s.Enum {
		if v == value {
			return true
		}
	}
	return false
}

// units are a string's length as Java has it, in UTF-16 units.
func units(value string) int64 {
	n := int64(0)
	for _, r := range value {
		if n++; r > 0xFFFF {
			n++
		}
	}
	return n
}

// all are the constraints of what a list or a map holds, in the order in which AWS tells them together, whichever failed:
// [Member must have length less than or equal to 255, Member must have length greater than or equal to 3, Member must
// satisfy regular expression pattern: ...] (DynamoDB's, in dynalite's tests). IAM and STS end it with "must not be null"
// (github.com/getmoto/moto, iam/models.py), the JSON services don't.
func (s *Shape) all(null bool) string {
	var texts []string
	if s.Max != nil {
		texts = append(texts, s.maximumText())
	}
	if s.Min != nil {
		texts = append(texts, s.minimumText())
	}
	if s.Pattern != "" {
		texts = append(texts, s.patternText())
	}
	if s.Enum != nil {
		texts = append(texts, s.enumText())
	}
	if null {
		texts = append(texts, notNull)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// constrained says whether a value can fail.
func (s *Shape) constrained() bool {
	return s.Min != nil || s.Max != nil || s.Pattern != "" || s.Enum != nil
}

// enumText has the values in the model's order; AWS's is that of a hash table, and no two services' is the same.
func (s *Shape) enumText() string {
	return "Member must satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]"
}

func (s *Shape) patternText() string {
	return "Member must satisfy regular expression pattern: " + s.Pattern
}

func (s *Shape) minimumText() string {
	return "Member must have " + s.measure() + " greater than or equal to " + strconv.FormatInt(*s.Min, 10)
}

func (s *Shape) maximumText() string {
	return "Member must have " + s.measure() + " less than or equal to " + strconv.FormatInt(*s.Max, 10)
}

func (s *Shape) measure() string {
	switch s.Type {
	case table.Integer, table.Long, table.Float, table.Double:
		return "value"
	}
	return "length"
}
