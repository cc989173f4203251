package dnstmpl

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// values reads the data of one record, field by field. The first fault is kept, and
// everything read after it is zero.
type values struct {
	typ     string
	at      field // where the type stands
	list    []field
	comment bool // a comment follows
	next    int
	bad     *fault
}

// shapes says what the data of each type looks like, for the texts of problems.
func shape(typ string) string {
	switch typ {
	case "A":
		return "192.0.2.1"
	case "AAAA":
		return "2001:db8::1"
	case "CAA":
		return `0 issue "ca.example"`
	case "CNAME", "DNAME", "PTR":
		return "target.example.com."
	case "HINFO":
		return `"cpu" "system"`
	case "MX":
		return "10 mail.example.com."
	case "NAPTR":
		return `100 10 "u" "E2U+email" "!^.*$!mailto:info@example.com!" .`
	case "NS":
		return "ns1.example.com."
	case "SOA":
		return "ns1.example.com. hostmaster.example.com. 1 86400 7200 3600000 3600"
	case "SRV":
		return "0 1 465 mail.example.com."
	case "TLSA":
		return "3 1 1 and 64 hexadecimal digits"
	case "TXT":
		return `"text"`
	}
	return ""
}

func knownType(typ string) bool { return shape(strings.ToUpper(typ)) != "" }

// read reads the value; all of the fields are used up by it.
func (v *values) read() (Value, *fault) {
	value := v.value()
	if v.bad == nil && v.next < len(v.list) {
		v.fail(v.list[v.next], "one "+v.typ+" record a line", "too much data for %s", v.typ)
	}
	if v.bad != nil {
		return nil, v.bad
	}
	return value, nil
}

func (v *values) value() Value {
	switch v.typ {
	case "A":
		return A{v.addr(true)}
	case "AAAA":
		return AAAA{v.addr(false)}
	case "CAA":
		return CAA{uint8(v.number(8)), v.tag(), v.str()}
	case "CNAME":
		return CNAME{v.name(aliasName)}
	case "DNAME":
		return DNAME{v.name(aliasName)}
	case "HINFO":
		return HINFO{v.str(), v.str()}
	case "MX":
		return v.mx()
	case "NAPTR":
		return NAPTR{uint16(v.number(16)), uint16(v.number(16)), v.flags(), v.str(), v.substitution(), v.nameOrRoot(aliasName)}
	case "NS":
		return NS{v.name(hostName)}
	case "PTR":
		return PTR{v.name(aliasName)}
	case "SOA":
		return SOA{v.name(hostName), v.name(aliasName), v.number(32), v.number(32), v.number(32), v.number(32), v.number(32)}
	case "SRV":
		return SRV{uint16(v.number(16)), uint16(v.number(16)), uint16(v.number(16)), v.nameOrRoot(hostName)}
	case "TLSA":
		return v.tlsa()
	}
	return v.txt()
}

// fail keeps the first fault.
func (v *values) fail(f field, fix, format string, args ...any) {
	v.failAs(RuleValue, f, fix, format, args...)
}

func (v *values) failAs(rule Rule, f field, fix, format string, args ...any) {
	if v.bad == nil {
		v.bad = &fault{f.offset, rule, fmt.Sprintf(format, args...), fix}
	}
}

// field is the next field; a fault if there is none.
func (v *values) field() field {
	if v.next >= len(v.list) {
		v.failAs(RuleMissing, v.at, v.typ+" "+shape(v.typ), "data of %s is missing", v.typ)
		return field{offset: v.at.offset}
	}
	v.next++
	return v.list[v.next-1]
}

// word is a field that is not in quotes.
func (v *values) word() string {
	f := v.field()
	if f.quoted {
		v.fail(f, f.text, "quotes where %s has none", v.typ)
	}
	return f.text
}

// tag is the property of a CAA record, of letters and digits (RFC 8659 section 4.1).
func (v *values) tag() string {
	at := v.next
	tag := strings.ToLower(v.word())
	if v.bad == nil && !alphanumeric(tag) {
		v.fail(v.list[at], "issue, issuewild or iodef", "the tag %.40q of CAA is not of letters and digits", tag)
	}
	return tag
}

func alphanumeric(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

func (v *values) number(bits int) uint32 {
	f := v.field()
	n, ok := decimal(f.text, bits)
	if !ok || f.quoted {
		v.fail(f, v.typ+" "+shape(v.typ), "%.40q is no number from 0 to %d", f.text, uint64(1)<<bits-1)
	}
	return uint32(n)
}

func (v *values) addr(four bool) netip.Addr {
	f := v.field()
	addr, err := netip.ParseAddr(f.text)
	switch {
	case v.bad != nil:
	case err != nil || addr.Zone() != "" || f.quoted:
		v.fail(f, v.typ+" "+shape(v.typ), "%.60q is no IP address", f.text)
	case four && !addr.Is4():
		v.fail(f, "AAAA "+f.text, "%s is an IPv6 address", f.text)
	case !four && addr.Is4():
		v.fail(f, "A "+f.text, "%s is an IPv4 address", f.text)
	case addr.Is4In6():
		v.fail(f, "A "+addr.Unmap().String(), "%s stands for an IPv4 address", f.text)
	}
	return addr
}

// name is an absolute name.
func (v *values) name(kind nameKind) string { return v.nameIn(v.field(), kind, false) }

// nameOrRoot is an absolute name, or "." where that means that there is none.
func (v *values) nameOrRoot(kind nameKind) string { return v.nameIn(v.field(), kind, true) }

func (v *values) nameIn(f field, kind nameKind, root bool) string {
	if v.bad != nil || root && f.text == "." && !f.quoted {
		return f.text
	}
	name, absolute := strings.CutSuffix(f.text, ".")
	text, fix := nameProblem(name, kind)
	switch {
	case f.quoted:
		v.failAs(RuleName, f, f.text, "the name %.80q is in quotes", f.text)
	case f.text == "@":
		v.failAs(RuleFinalDot, f, "the whole name with a final dot", "@ means nothing here")
	case isAddr(name):
		v.failAs(RuleName, f, "the name of a host, and its address in an A or AAAA record", "%s has an address where a name belongs: %s", v.typ, f.text)
	case text != "":
		v.failAs(RuleName, f, fix, "%s", text)
	case !absolute:
		f.offset += len(f.text)
		v.failAs(RuleFinalDot, f, f.text+".", "the name %q has no final dot", f.text)
	}
	return strings.ToLower(name) + "."
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func (v *values) mx() Value {
	if len(v.list) == 2 && !startsWithDigit(v.list[0].text) && startsWithDigit(v.list[1].text) {
		v.fail(v.list[0], "MX "+v.list[1].text+" "+v.list[0].text, "host and preference are in the wrong order")
	}
	mx := MX{uint16(v.number(16)), v.nameOrRoot(hostName)}
	if v.bad == nil && mx.Host == "." && mx.Preference != 0 {
		v.fail(v.list[0], "MX 0 .", "the exchanger \".\" stands for no mail and has preference 0 (RFC 7505)")
	}
	return mx
}

// tlsa reads the digest with blanks in it too (RFC 6698 section 2.2).
func (v *values) tlsa() Value {
	t := TLSA{Usage: uint8(v.number(8)), Selector: uint8(v.number(8)), Matching: uint8(v.number(8))}
	at := min(v.next, len(v.list)-1)
	digest := v.word()
	for v.bad == nil && v.next < len(v.list) {
		digest += v.word()
	}
	t.Data = strings.ToLower(digest)
	data, err := hex.DecodeString(t.Data)
	if v.bad == nil && (err != nil || len(data) == 0 || t.Matching == 1 && len(data) != 32 || t.Matching == 2 && len(data) != 64) {
		v.fail(v.list[at], "the digest of the certificate in hexadecimal digits (64 for type 1, 128 for type 2)", "the data of TLSA is no such digest")
	}
	return t
}

// str is one string of up to 255 octets.
func (v *values) str() string { return v.limited(v.field()) }

func (v *values) limited(f field) string {
	if len(f.text) > maxCharacterString {
		v.failAs(RuleTextLength, f, "strings of up to 255 octets, each in quotes", "a string has %d octets; 255 is the most", len(f.text))
	}
	return f.text
}

// maxText is how many octets the text of a record may have. The record has to fit a
// message of 65,535 octets with its length octets and everything around it.
const maxText = 64_000

func (v *values) txt() Value {
	v.bare()
	var text strings.Builder
	for ok := true; ok && v.bad == nil; ok = v.next < len(v.list) {
		f := v.field()
		if len(f.text) > maxCharacterString {
			v.failAs(RuleTextLength, f, "strings of up to 255 octets, each in quotes; the function txt makes them", "a string has %d octets; 255 is the most", len(f.text))
		}
		text.WriteString(f.text)
	}
	if text.Len() > maxText {
		v.failAs(RuleTextLength, v.at, "a shorter one", "the text has %d octets; %d is the most", text.Len(), maxText)
	}
	return TXT{text.String()}
}

// bare refuses text without quotes that would not mean what it seems to: the blanks
// between words would be lost, and so would everything behind a semicolon.
func (v *values) bare() {
	first := slices.IndexFunc(v.list, func(f field) bool { return !f.quoted })
	if first < 0 || len(v.list) == 1 && !v.comment {
		return
	}
	words := make([]string, len(v.list))
	for i, f := range v.list {
		words[i] = f.text
	}
	fix := quote(strings.Join(words, " "))
	if v.comment {
		fix = "the text in quotes, what follows the semicolon included"
	}
	v.failAs(RuleLine, v.list[first], fix, "text of several words has no quotes: the blanks would be lost")
}
