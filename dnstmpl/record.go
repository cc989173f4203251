package dnstmpl

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A Record is one resource record of class IN.
type Record struct {
	Name  string // owner: absolute, in lower case, as A-labels
	TTL   uint32 // seconds
	Value Value
}

// Type is the record's type, such as MX.
func (r Record) Type() string {
	if r.Value == nil {
		return ""
	}
	return r.Value.Type()
}

// String is the record as a line of a zone file, in printable ASCII, without the
// newline.
func (r Record) String() string {
	if r.Value == nil {
		return fmt.Sprintf("%s %d IN", r.Name, r.TTL)
	}
	return fmt.Sprintf("%s %d IN %s %s", r.Name, r.TTL, r.Value.Type(), r.Value)
}

// A Value is the data of a record: one of A, AAAA, CAA, CNAME, DNAME, HINFO, MX,
// NAPTR, NS, PTR, SOA, SRV, TLSA and TXT. Names in it are absolute, in lower case.
// String is the data as a zone file has it. Values are comparable with ==.
type Value interface {
	Type() string
	String() string
	value() // nothing else is a Value
}

// The record types. RFC 1035 section 3.3 has those that name no other.
type (
	A struct {
		Addr netip.Addr `json:"addr"` // IPv4
	}
	AAAA struct {
		Addr netip.Addr `json:"addr"` // IPv6 (RFC 3596)
	}
	// CAA says which authority may issue certificates (RFC 8659).
	CAA struct {
		Flags uint8  `json:"flags"`
		Tag   string `json:"tag"`
		Value string `json:"value"`
	}
	CNAME struct {
		Target string `json:"target"`
	}
	// DNAME is an alias of everything below a name (RFC 6672).
	DNAME struct {
		Target string `json:"target"`
	}
	HINFO struct {
		CPU string `json:"cpu"`
		OS  string `json:"os"`
	}
	MX struct {
		Preference uint16 `json:"preference"`
		Host       string `json:"host"` // "." with preference 0: no mail here (RFC 7505)
	}
	// NAPTR is a rewriting rule (RFC 3403).
	NAPTR struct {
		Order       uint16 `json:"order"`
		Preference  uint16 `json:"preference"`
		Flags       string `json:"flags"`
		Service     string `json:"service"`
		Pattern     string `json:"pattern"`
		Replacement string `json:"replacement"` // "." for none
	}
	NS struct {
		Host string `json:"host"`
	}
	PTR struct {
		Target string `json:"target"`
	}
	SOA struct {
		Primary string `json:"primary"`
		Mailbox string `json:"mailbox"`
		Serial  uint32 `json:"serial"`
		Refresh uint32 `json:"refresh"` // seconds, as the next three
		Retry   uint32 `json:"retry"`
		Expire  uint32 `json:"expire"`
		Minimum uint32 `json:"minimum"`
	}
	// SRV names the host of a service (RFC 2782).
	SRV struct {
		Priority uint16 `json:"priority"`
		Weight   uint16 `json:"weight"`
		Port     uint16 `json:"port"`
		Target   string `json:"target"` // ".": not offered
	}
	// TLSA binds a certificate to a name (RFC 6698).
	TLSA struct {
		Usage    uint8  `json:"usage"`
		Selector uint8  `json:"selector"`
		Matching uint8  `json:"matching"`
		Data     string `json:"data"` // in lower-case hexadecimal digits
	}
	// TXT is text, any octets. How it was cut into strings of up to 255 octets is
	// not kept: those who read such records join them (RFC 7208 section 3.3).
	TXT struct{ Text string }
)

func (A) Type() string     { return "A" }
func (AAAA) Type() string  { return "AAAA" }
func (CAA) Type() string   { return "CAA" }
func (CNAME) Type() string { return "CNAME" }
func (DNAME) Type() string { return "DNAME" }
func (HINFO) Type() string { return "HINFO" }
func (MX) Type() string    { return "MX" }
func (NAPTR) Type() string { return "NAPTR" }
func (NS) Type() string    { return "NS" }
func (PTR) Type() string   { return "PTR" }
func (SOA) Type() string   { return "SOA" }
func (SRV) Type() string   { return "SRV" }
func (TLSA) Type() string  { return "TLSA" }
func (TXT) Type() string   { return "TXT" }

func (A) value()     {}
func (AAAA) value()  {}
func (CAA) value()   {}
func (CNAME) value() {}
func (DNAME) value() {}
func (HINFO) value() {}
func (MX) value()    {}
func (NAPTR) value() {}
func (NS) value()    {}
func (PTR) value()   {}
func (SOA) value()   {}
func (SRV) value()   {}
func (TLSA) value()  {}
func (TXT) value()   {}

func (v A) String() string     { return v.Addr.String() }
func (v AAAA) String() string  { return v.Addr.String() }
func (v CAA) String() string   { return fmt.Sprintf("%d %s %s", v.Flags, v.Tag, quote(v.Value)) }
func (v CNAME) String() string { return v.Target }
func (v DNAME) String() string { return v.Target }
func (v HINFO) String() string { return quote(v.CPU) + " " + quote(v.OS) }
func (v MX) String() string    { return fmt.Sprintf("%d %s", v.Preference, v.Host) }
func (v NAPTR) String() string {
	return fmt.Sprintf("%d %d %s %s %s %s", v.Order, v.Preference, quote(v.Flags), quote(v.Service), quote(v.Pattern), v.Replacement)
}
func (v NS) String() string  { return v.Host }
func (v PTR) String() string { return v.Target }
func (v SOA) String() string {
	return fmt.Sprintf("%s %s %d %d %d %d %d", v.Primary, v.Mailbox, v.Serial, v.Refresh, v.Retry, v.Expire, v.Minimum)
}
func (v SRV) String() string {
	return fmt.Sprintf("%d %d %d %s", v.Priority, v.Weight, v.Port, v.Target)
}
func (v TLSA) String() string {
	return fmt.Sprintf("%d %d %d %s", v.Usage, v.Selector, v.Matching, v.Data)
}
func (v TXT) String() string { return Quote(v.Text) }

// maxCharacterString is the length of a <character-string> (RFC 1035 section 3.3).
const maxCharacterString = 255

// Quote makes of any octets what a TXT record has in a zone file: strings in quotes,
// each of up to 255 octets, with everything but printable ASCII written as \DDD.
func Quote(text string) string {
	pieces := pieces(text)
	for i, piece := range pieces {
		pieces[i] = quote(piece)
	}
	return strings.Join(pieces, " ")
}

// pieces cuts text into strings of up to 255 octets; there is one at least.
func pieces(text string) []string {
	var cut []string
	for len(text) > maxCharacterString {
		cut = append(cut, text[:maxCharacterString])
		text = text[maxCharacterString:]
	}
	return append(cut, text)
}

// quote writes one <character-string> (RFC 1035 section 5.1).
func quote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// decimal reads a string of digits as a number of up to bits bits.
func decimal(s string, bits int) (uint64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, bits)
	return n, err == nil
}
