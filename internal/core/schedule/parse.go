// Package schedule is AWS Secrets Manager's rotation schedules: rate() and cron() expressions, windows, and the decision
// whether to rotate now. All of it is pure: time comes in as an argument, and everything is in UTC.
//
// No library reads AWS's cron as AWS does: its days of the week begin with 1 for Sunday, its minutes are always 0, and the
// steps of its hours start anew each day.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrInvalid says that an expression or a duration does not parse, or that the two do not fit together.
	ErrInvalid = errors.New("invalid schedule")
	// ErrNeverFires says that a schedule names a day that never comes, such as February 31.
	ErrNeverFires = errors.New("the schedule never fires")
)

const (
	maximumExpression = 256
	minimumRate       = 4 * time.Hour
	maximumRate       = 999 * day
	day               = 24 * time.Hour
)

// Schedule is a parsed expression, a value that does not change and can be compared. The zero Schedule never fires.
type Schedule struct {
	text string
	// rate is the time between rotations, 0 for cron.
	rate time.Duration
	// inHours tells that the unit of rate is hours.
	inHours bool
	cron    cron
}

// String is the expression.
func (s Schedule) String() string { return s.text }

var rateSyntax = regexp.MustCompile(`^rate\(([1-9][0-9]{0,4}) (hours?|days?)\)$`)

// Parse reads rate(N hours), rate(N days) or cron(0 HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK *), of at most 256 characters. A
// rate is from 4 hours to 999 days. Exactly one of the two fields of days is ?. Errors wrap ErrInvalid.
func Parse(expression string) (Schedule, error) {
	if len(expression) > maximumExpression {
		return Schedule{}, fmt.Errorf("%w: it has %d characters; at most %d are allowed", ErrInvalid, len(expression), maximumExpression)
	}
	if m := rateSyntax.FindStringSubmatch(expression); m != nil {
		return parseRate(expression, m[1], strings.HasPrefix(m[2], "hour"))
	}
	inner, ok := strings.CutPrefix(expression, "cron(")
	if inner, closed := strings.CutSuffix(inner, ")"); ok && closed {
		c, err := parseCron(inner)
		if err != nil {
			return Schedule{}, fmt.Errorf("%w: %s: %w", ErrInvalid, expression, err)
		}
		return Schedule{text: expression, cron: c}, nil
	}
	return Schedule{}, fmt.Errorf("%w: %q is neither rate(N hours), rate(N days) nor cron(0 HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK *)",
		ErrInvalid, expression)
}

func parseRate(expression, number string, inHours bool) (Schedule, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return Schedule{}, fmt.Errorf("%w: %s: %w", ErrInvalid, expression, err)
	}
	unit := day
	if inHours {
		unit = time.Hour
	}
	rate := time.Duration(n) * unit
	if rate < minimumRate || rate > maximumRate {
		return Schedule{}, fmt.Errorf("%w: %s: a rate is from 4 hours to 999 days", ErrInvalid, expression)
	}
	return Schedule{text: expression, rate: rate, inHours: inHours}, nil
}

var durationSyntax = regexp.MustCompile(`^([1-9]|1[0-9]|2[0-4])h$`)

// ParseDuration reads the length of a window: 1h to 24h, or nothing, which is 0 and means the default. Errors wrap
// ErrInvalid.
func ParseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if !durationSyntax.MatchString(s) {
		return 0, fmt.Errorf("%w: duration %q is not a whole number of hours from 1h to 24h", ErrInvalid, s)
	}
	return time.ParseDuration(s)
}
