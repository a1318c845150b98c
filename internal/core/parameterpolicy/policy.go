// Package parameterpolicy is the policies of the Parameter Store: what they say, as AWS writes them, and what they ask for at a moment. It reads no
// clock and does nothing.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html
package parameterpolicy

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Type of a policy.
type Type string

// The types of policies.
const (
	// Expiration deletes the parameter at a time.
	Expiration Type = "Expiration"
	// ExpirationNotification tells of the expiry some time before it.
	ExpirationNotification Type = "ExpirationNotification"
	// NoChangeNotification tells that the parameter has had no new version for some time.
	NoChangeNotification Type = "NoChangeNotification"
)

// Unit is what the notifications count in.
type Unit string

// The units.
const (
	Days  Unit = "Days"
	Hours Unit = "Hours"
)

const (
	// Version of the policies' language; there is no other.
	Version = "1.0"
	// Maximum is how many policies a parameter has.
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#API_PutParameter_Errors
	Maximum = 10
	// MaximumText is the length of the JSON of all policies of a parameter, in bytes.
	MaximumText = 4096
	// MaximumCount of days or hours. AWS documents none.
	MaximumCount = 99999
)

// What is wrong with policies.
var (
	// ErrText says that the JSON is no array of objects. AWS's error is ValidationException.
	ErrText = errors.New("the policies are no JSON array of policies")
	// ErrType says that the type of a policy is none of those that there are: InvalidPolicyTypeException.
	ErrType = errors.New("the type of a policy is not Expiration, ExpirationNotification or NoChangeNotification")
	// ErrAttribute says that an attribute is missing, is not one of the policy's type, or has a value that is none:
	// InvalidPolicyAttributeException.
	ErrAttribute = errors.New("an attribute of a policy is missing or invalid")
	// ErrTooMany says that there are more than Maximum: PoliciesLimitExceededException.
	ErrTooMany = errors.New("a parameter has at most 10 policies")
	// ErrConflict says that the policies do not go together: IncompatiblePolicyException.
	ErrConflict = errors.New("a parameter has at most one Expiration, which its ExpirationNotifications are about")
)

// Policy is one policy.
type Policy struct {
	Type Type
	// Timestamp of an Expiration, as it was written: see ParseTime.
	Timestamp string
	// Count is how many Units before the expiry, or after the latest version, a notification comes.
	Count int
	Unit  Unit
}

// layouts of AWS's ISO_INSTANT and ISO_OFFSET_DATE_TIME: seconds, and the seconds of an offset, may be left out or there.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z07:00:00", "2006-01-02T15:04Z07:00"}

// ParseTime reads the time of an Expiration. It fails with ErrAttribute.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 0 && t.UTC().Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: the timestamp is no time with an offset, for example 2027-03-31T22:00:00Z", ErrAttribute)
}

// Check says whether policies are right, each of them and all together.
func Check(policies []Policy) error {
	if len(policies) > Maximum {
		return ErrTooMany
	}
	expirations := 0
	for i := range policies {
		if err := policies[i].check(); err != nil {
			return err
		}
		if policies[i].Type == Expiration {
			expirations++
		}
	}
	ahead := slices.ContainsFunc(policies, func(p Policy) bool { return p.Type == ExpirationNotification })
	if expirations > 1 || ahead && expirations == 0 {
		return ErrConflict
	}
	return nil
}

func (p *Policy) check() error {
	switch p.Type {
	case Expiration:
		if p.Count != 0 || p.Unit != "" {
			return fmt.Errorf("%w: an Expiration has a timestamp alone", ErrAttribute)
		}
		_, err := ParseTime(p.Timestamp)
		return err
	case ExpirationNotification, NoChangeNotification:
		if p.Timestamp != "" || p.Count < 1 || p.Count > MaximumCount || p.Unit != Days && p.Unit != Hours {
			return fmt.Errorf("%w: a notification has a number from 1 to %d, and the unit Days or Hours", ErrAttribute, MaximumCount)
		}
		return nil
	}
	return ErrType
}

// Expiry is when a parameter with policies expires, zero if it does not. It fails with ErrAttribute if the time cannot be read.
func Expiry(policies []Policy) (time.Time, error) {
	for i := range policies {
		if policies[i].Type == Expiration {
			return ParseTime(policies[i].Timestamp)
		}
	}
	return time.Time{}, nil
}

// span is how long before or after something a notification comes.
func (p *Policy) span() time.Duration {
	if p.Unit == Hours {
		return time.Duration(p.Count) * time.Hour
	}
	return time.Duration(p.Count) * 24 * time.Hour
}
