package sendmail

import (
	"fmt"
	"strings"
)

// mode is what a run is asked to do: the letter of -b, or 'q' for -q.
type mode byte

const (
	modeMessage mode = 'm'
	modeSMTP    mode = 's'
	modeList    mode = 'p'
	modeVerify  mode = 'v'
	modeAliases mode = 'i'
	modeDaemon  mode = 'd'
	modeFlush   mode = 'q'
)

// A command is a command line as understood.
type command struct {
	mode       mode
	from       string // value of -f or -r
	hasFrom    bool
	fullName   string // value of -F
	fromHeader bool   // -t: recipients are in the header
	dots       bool   // -i: a lone dot is content
	notify     string // NOTIFY in upper case
	ret        string // RET in upper case
	envID      string // ENVID
	operands   []string
}

// Options by what follows them.
const (
	valued   = "fFrBNRVoOCLpXAhbe" // a value, glued or the next word
	optional = "qd"                // a value if it looks like one
	boolean  = "tivnmGUIxscJ"      // nothing; they may be bundled
)

// parse understands a command line, program name not included. Options and
// operands may be mixed. The error is a mistake that cannot be ignored.
func parse(args []string) (command, error) {
	c := command{mode: modeMessage}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			c.operands = append(c.operands, args...)
			break
		}
		if len(word) < 2 || word[0] != '-' {
			if word != "-" {
				c.operands = append(c.operands, word)
			}
			continue
		}
		var err error
		if args, err = c.word(word[1:], args); err != nil {
			return c, err
		}
	}
	return c, nil
}

// word takes one word of options, and from rest the value of the last of them if
// it needs one. It returns what is left of rest.
func (c *command) word(letters string, rest []string) ([]string, error) {
	for i := range len(letters) {
		letter, glued := letters[i], letters[i+1:]
		switch {
		case strings.IndexByte(boolean, letter) >= 0:
			c.flag(letter)
		case strings.IndexByte(optional, letter) >= 0:
			if letter == 'q' {
				c.flush(glued)
			}
			if glued == "" && len(rest) > 0 && isInterval(rest[0]) {
				rest = rest[1:]
			}
			return rest, nil
		case strings.IndexByte(valued, letter) >= 0:
			if glued != "" || letter == 'e' && (len(rest) == 0 || len(rest[0]) != 1) {
				return rest, c.value(letter, glued)
			}
			if len(rest) == 0 {
				if strings.IndexByte("fFrNRb", letter) >= 0 {
					return nil, fmt.Errorf("option -%c needs a value", letter)
				}
				return nil, nil
			}
			return rest[1:], c.value(letter, rest[0])
		default:
			return rest, nil // unknown: what follows in this word may be its value
		}
	}
	return rest, nil
}

// flag takes an option without a value. Those not named here have no effect.
func (c *command) flag(letter byte) {
	switch letter {
	case 't':
		c.fromHeader = true
	case 'i':
		c.dots = true
	case 'I':
		c.mode = modeAliases
	}
}

// flush takes -q. With an interval it is about a daemon, and no mode by itself.
func (c *command) flush(value string) {
	if c.mode == modeMessage && (value == "" || !isInterval(value)) {
		c.mode = modeFlush
	}
}

// value takes an option with its value. Those not named here have no effect: the
// type of the body is seen from the body, and no caller may choose a
// configuration or a log file.
func (c *command) value(letter byte, value string) error {
	switch letter {
	case 'f', 'r':
		c.from, c.hasFrom = value, true
	case 'F':
		if hasControls(value) {
			return fmt.Errorf("option -F: control character in the name")
		}
		c.fullName = value
	case 'o':
		c.dots = c.dots || value == "i"
	case 'O':
		name, set, _ := strings.Cut(value, "=")
		if strings.EqualFold(name, "IgnoreDots") && !strings.HasPrefix(strings.ToLower(set), "f") {
			c.dots = true
		}
	case 'N':
		return c.setNotify(value)
	case 'R':
		if c.ret = strings.ToUpper(value); c.ret != "FULL" && c.ret != "HDRS" {
			return fmt.Errorf("option -R: %q is neither full nor hdrs", value)
		}
	case 'V':
		if hasControls(value) || len(value) > 100 {
			return fmt.Errorf("option -V: too long, or with control characters")
		}
		c.envID = value
	case 'b':
		return c.setMode(value)
	}
	return nil
}

func (c *command) setNotify(value string) error {
	c.notify = strings.ToUpper(strings.ReplaceAll(value, " ", ""))
	words := strings.Split(c.notify, ",")
	for _, w := range words {
		switch w {
		case "SUCCESS", "FAILURE", "DELAY":
		case "NEVER":
			if len(words) > 1 {
				return fmt.Errorf("option -N: never stands alone")
			}
		default:
			return fmt.Errorf("option -N: %q is none of never, success, failure, delay", w)
		}
	}
	return nil
}

func (c *command) setMode(value string) error {
	switch value {
	case "m", "a", "t":
		c.mode = modeMessage
	case "s", "p", "v", "i":
		c.mode = mode(value[0])
	case "d", "D", "l":
		c.mode = modeDaemon
	default:
		return fmt.Errorf("option -b: mode %q is not supported", value)
	}
	return nil
}

// isInterval reports whether a word is an interval such as 15m or 1h30m, or a
// debugging level such as 0.1.
func isInterval(s string) bool {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return false
	}
	return strings.Trim(s, "0123456789.,-smhdw") == ""
}

func hasControls(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}
