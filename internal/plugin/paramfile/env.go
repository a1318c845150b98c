package paramfile

import (
	"errors"
	"fmt"
	"strings"
)

var (
	errLine  = errors.New("a line is KEY=VALUE, empty, or a comment that begins with #")
	errQuote = errors.New("the quotation marks do not end")
	errAfter = errors.New("after the quotation marks there is nothing but a comment")
)

// parseEnv reads lines of KEY=VALUE, with export before them or not. A value in single quotation marks is as it is; one in double ones has \n, \r,
// \t, \\, \", \$ and \`; both may have line breaks. One without ends at a comment and has no spaces around it. $NAME stands for itself: nothing is
// looked up.
func parseEnv(text []byte) (out []Entry, err error) {
	rest := strings.TrimPrefix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\ufeff")
	for line := 1; rest != ""; {
		var e Entry
		var used int
		e, used, err = envLine(rest)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if e.Name != "" {
			if out = append(out, e); len(out) > MaximumEntries {
				return nil, errMany
			}
		}
		line += strings.Count(rest[:used], "\n")
		rest = rest[used:]
	}
	return out, nil
}

// envLine reads a line, and more if its value has line breaks, and says how long that was.
func envLine(text string) (e Entry, used int, err error) {
	line, _, more := strings.Cut(text, "\n")
	used = len(line)
	if more {
		used++
	}
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '#' {
		return e, used, nil
	}
	key, name := envKey(line)
	if name == "" {
		return e, 0, errLine
	}
	e.Name = name
	value := strings.TrimLeft(text[len(key)+1:], " \t")
	if value == "" || value[0] != '\'' && value[0] != '"' {
		e.Value = unquoted(line[len(key)+1:])
		return e, used, nil
	}
	e.Value, used, err = quotedLine(value)
	if err != nil {
		return e, 0, fmt.Errorf("%s: %w", name, err)
	}
	return e, len(text) - len(value) + used, nil
}

// envKey is what is before the equals sign, and the name in it; empty if there is none.
func envKey(line string) (key, name string) {
	key, _, found := strings.Cut(line, "=")
	if !found {
		return "", ""
	}
	name = strings.TrimSpace(key)
	if after, is := strings.CutPrefix(name, "export"); is && strings.TrimLeft(after, " \t") != after {
		name = strings.TrimLeft(after, " \t")
	}
	return key, name
}

// quotedLine reads a value in quotation marks and the rest of its line, and says how long they are.
func quotedLine(text string) (value string, used int, err error) {
	value, length, err := quoted(text)
	if err != nil {
		return "", 0, err
	}
	tail, _, more := strings.Cut(text[length:], "\n")
	if used = length + len(tail); more {
		used++
	}
	if tail = strings.TrimSpace(tail); tail != "" && tail[0] != '#' {
		return "", 0, errAfter
	}
	return value, used, nil
}

// unquoted is a value without a comment and spaces around it.
func unquoted(text string) string {
	for i := range len(text) {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			text = text[:i]
			break
		}
	}
	return strings.TrimSpace(text)
}

// quoted reads a value in quotation marks, and says how long it is with them.
func quoted(text string) (value string, length int, err error) {
	mark := text[0]
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == mark:
			return out.String(), i + 1, nil
		case c == '\\' && mark == '"' && i+1 < len(text):
			i++
			out.WriteString(unescaped(text[i]))
		default:
			out.WriteByte(c)
		}
	}
	return "", 0, errQuote
}

func unescaped(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '\\', '"', '$', '`':
		return string(c)
	}
	return `\` + string(c)
}
