package transport

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// An STSPolicy is the MTA-STS policy of a domain (RFC 8461 section 3.2).
type STSPolicy struct {
	Mode   STSMode       `json:"mode"`
	MX     []string      `json:"mx"` // names, and *.names, in A-labels and lower case; not to be changed
	MaxAge time.Duration `json:"-"`  // how long it may be remembered, 31,557,600 seconds at most
}

const (
	maxSTSPolicy = 64 << 10 // octets of a policy
	maxSTSLine   = 1024     // octets of a line of it
	maxSTSHosts  = 100      // mx fields of it
	maxSTSAge    = 31_557_600 * time.Second
	stsVersion   = "STSv1"
)

// ParseSTSPolicy reads the text of a policy. Lines end in LF or CRLF; fields that
// nobody knows are ignored, and of a field that is given twice the second, but for mx.
// A text that is larger than 64 KiB, that has more than 100 mx fields or a line of more
// than 1,024 octets is refused.
func ParseSTSPolicy(text string) (STSPolicy, error) {
	if len(text) > maxSTSPolicy {
		return STSPolicy{}, fmt.Errorf("MTA-STS policy: larger than %d octets", maxSTSPolicy)
	}
	var (
		p    STSPolicy
		seen = map[string]bool{}
		n    int
	)
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line = strings.TrimRight(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" {
			continue
		}
		key, value, err := stsField(line)
		if err == nil && (key == "mx" || !seen[key]) {
			err = p.set(key, value)
		}
		if err != nil {
			return STSPolicy{}, fmt.Errorf("MTA-STS policy: line %d: %w", n, err)
		}
		seen[key] = true
	}
	for _, required := range []string{"version", "mode", "max_age"} {
		if !seen[required] {
			return STSPolicy{}, fmt.Errorf("MTA-STS policy: no %s", required)
		}
	}
	if len(p.MX) == 0 && p.Mode != STSNone {
		return STSPolicy{}, errors.New("MTA-STS policy: no mx")
	}
	return p, nil
}

// stsField splits a line without its end.
func stsField(line string) (key, value string, err error) {
	if len(line) > maxSTSLine {
		return "", "", fmt.Errorf("longer than %d octets", maxSTSLine)
	}
	key, value, found := strings.Cut(line, ":")
	if !found || !isSTSName(key) {
		return "", "", errors.New("not of the form name: value")
	}
	value = strings.TrimLeft(value, " \t")
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return "", "", fmt.Errorf("control characters in %s", key)
	}
	return key, value, nil
}

// isSTSName reports whether s is the name of a field (RFC 8461 section 3.2).
func isSTSName(s string) bool {
	for i, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '-' && c != '.') {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

func (p *STSPolicy) set(key, value string) error {
	switch key {
	case "version":
		if value != stsVersion {
			return fmt.Errorf("version %q is not %s", value, stsVersion)
		}
	case "mode":
		p.Mode = STSMode(value)
		if p.Mode != STSEnforce && p.Mode != STSTesting && p.Mode != STSNone {
			return fmt.Errorf("mode %q is not enforce, testing or none", value)
		}
	case "max_age":
		seconds, err := strconv.ParseUint(value, 10, 64)
		if err != nil || len(value) > 10 {
			return fmt.Errorf("max_age %q is no number of seconds", value)
		}
		p.MaxAge = time.Duration(min(seconds, uint64(maxSTSAge/time.Second))) * time.Second
	case "mx":
		if len(p.MX) == maxSTSHosts {
			return fmt.Errorf("more than %d mx", maxSTSHosts)
		}
		name, wild := strings.CutPrefix(value, "*.")
		name, err := hostname(name)
		if err != nil {
			return fmt.Errorf("mx %q: %w", value, err)
		}
		if wild {
			name = "*." + name
		}
		p.MX = append(p.MX, strings.ToLower(name))
	}
	return nil
}

// Matches reports whether the policy lists a mail exchanger; *.name stands for the names
// one label below it (RFC 8461 section 4.1).
func (p STSPolicy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	label, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(p.MX, func(pattern string) bool {
		above, wild := strings.CutPrefix(pattern, "*.")
		return wild && label != "" && above == parent || pattern == host
	})
}

// String is the policy as it is published.
func (p STSPolicy) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: %s\nmode: %s\n", stsVersion, p.Mode)
	for _, mx := range p.MX {
		fmt.Fprintf(&b, "mx: %s\n", mx)
	}
	fmt.Fprintf(&b, "max_age: %d\n", int64(p.MaxAge/time.Second))
	return b.String()
}

// ParseSTSRecord finds the id of the policy among the TXT records of _mta-sts below a
// domain (RFC 8461 section 3.1). ok is false if the domain has no policy: there is not
// exactly one record that begins as it must, or it is malformed.
func ParseSTSRecord(texts []string) (id string, ok bool) {
	var fields []string
	for _, text := range texts {
		version, rest, more := strings.Cut(text, ";")
		if !more || strings.TrimRight(version, " \t") != "v="+stsVersion {
			continue
		}
		if fields != nil {
			return "", false
		}
		fields = strings.Split(strings.TrimRight(rest, " \t"), ";")
	}
	for i, field := range fields {
		name, value, found := strings.Cut(strings.Trim(field, " \t"), "=")
		switch {
		case field == "" && i == len(fields)-1 && i > 0: // the record ends in a semicolon
		case !found || !isSTSName(name) || !isSTSValue(value):
			return "", false
		case name == "id" && id == "":
			if !isSTSID(value) {
				return "", false
			}
			id = value
		}
	}
	return id, id != ""
}

// isSTSValue reports whether s can be the value of a field of a record.
func isSTSValue(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '=' || r == ';' || r >= 0x7f })
}

// isSTSID reports whether s is 1 to 32 letters and digits.
func isSTSID(s string) bool {
	return isSTSName(s) && !strings.ContainsAny(s, "_-.")
}
