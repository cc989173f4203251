package dnstmpl

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// An Entry is a record as one types it into the form of a DNS provider, field by
// field. Host names have no final dot there.
type Entry struct {
	Type     string   `json:"type"`
	Name     string   `json:"name"`               // relative to the zone; @ for the zone itself
	FullName string   `json:"full_name"`          // for forms that want the whole name
	TTL      uint32   `json:"ttl"`                // seconds
	Priority string   `json:"priority,omitempty"` // of MX and SRV
	Value    string   `json:"value"`              // of SRV: weight, port and host
	Strings  []string `json:"strings,omitempty"`  // text over 255 octets, in pieces, for forms that do not cut it themselves
}

// Entries is the zone for a form, in the order of the records.
func (z Zone) Entries() []Entry {
	entries := make([]Entry, len(z.Records))
	for i, r := range z.Records {
		entries[i] = z.entry(r)
	}
	return entries
}

func (z Zone) entry(r Record) Entry {
	e := Entry{Type: r.Type(), TTL: r.TTL, FullName: strings.TrimSuffix(r.Name, "."), Value: strings.TrimSuffix(r.Value.String(), ".")}
	e.Name = strings.TrimSuffix(r.Name, "."+z.Name)
	if r.Name == z.Name {
		e.Name = "@"
	}
	switch v := r.Value.(type) {
	case MX:
		e.Priority, e.Value = strconv.Itoa(int(v.Preference)), plainHost(v.Host)
	case SRV:
		e.Priority = strconv.Itoa(int(v.Priority))
		e.Value = fmt.Sprintf("%d %d %s", v.Weight, v.Port, plainHost(v.Target))
	case TXT:
		e.Value = v.Text
		if !printable(v.Text) {
			e.Value = v.String()
		}
		if len(v.Text) > maxCharacterString {
			e.Strings = pieces(v.Text)
		}
	case NAPTR:
		e.Value = v.String()
	}
	return e
}

// plainHost is a host without its final dot; the root is nothing but a dot.
func plainHost(host string) string {
	if host == "." {
		return host
	}
	return strings.TrimSuffix(host, ".")
}

// printable reports whether text can be typed into a form.
func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// Paste is the zone as text for a customer whose DNS is elsewhere: of each record
// the fields that a form asks for, one a line, ready to be copied. The full name is
// always among them: whose form it is, and so what a name is relative to there, is not
// known.
func (z Zone) Paste() string {
	var b strings.Builder
	fmt.Fprintf(&b, "DNS records for %[1]s. A name is relative to %[1]s, and @ is that domain itself. Where the form is for another domain, such as one above it, give the full name.\n", strings.TrimSuffix(z.Name, "."))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, e := range z.Entries() {
		fmt.Fprintf(w, "\nType:\t%s\nName:\t%s\nFull name:\t%s\n", e.Type, e.Name, e.FullName)
		if e.Priority != "" {
			fmt.Fprintf(w, "Priority:\t%s\n", e.Priority)
		}
		fmt.Fprintf(w, "Value:\t%s\n", e.Value)
		if len(e.Strings) > 0 {
			fmt.Fprintf(w, "In pieces:\t%s\n", Quote(strings.Join(e.Strings, "")))
		}
		fmt.Fprintf(w, "TTL:\t%d\n", e.TTL)
		_ = w.Flush() // a strings.Builder takes everything
	}
	return b.String()
}
