package dnscheck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
)

// because says why a change is needed, in words for the customer where more can be said
// than that there is a difference.
func because(c dnstmpl.Change) string {
	have, published := c.Have.Value.(dnstmpl.TXT)
	want, wanted := c.Want.Value.(dnstmpl.TXT)
	switch {
	case c.Op == dnstmpl.Modify && published && wanted && isDKIM(c.Want.Name):
		return dkimReason(have.Text, want.Text)
	case c.Op == dnstmpl.Modify && published && isDMARC(have.Text):
		return "the DMARC record that is published does not say all that is wanted; what it says beside stays"
	case c.Op == dnstmpl.Modify && published && isSPF(have.Text) && unreadable(c.Have) != "":
		return unreadable(c.Have) + "; what cannot be read is left out, and may be wanted in another form"
	case c.Op == dnstmpl.Modify && published && isSPF(have.Text) && dnstmpl.MergeSPF(have.Text, want.Text) != want.Text:
		return "the SPF record that is published has other addresses than those that mail leaves from"
	case c.Op == dnstmpl.Modify && published && isSPF(have.Text) && sameButAll(have.Text, want.Text):
		return "the SPF record that is published does not say what becomes of mail from elsewhere; what it says beside stays"
	case c.Op == dnstmpl.Modify && published && isSPF(have.Text):
		return "the SPF record that is published does not let all mail of this server through; what it says beside stays"
	case c.Op == dnstmpl.Remove && published && isSPF(have.Text):
		return "a second SPF record: with two, receivers take it as an error and neither counts (RFC 7208 section 4.5)"
	case c.Op == dnstmpl.Add && wanted && isDKIM(c.Want.Name):
		return "the public key is not published: signatures with this selector cannot be verified"
	case c.Op == dnstmpl.Remove && c.Have.Type() == "MX":
		return fmt.Sprintf("mail for %s would go to %s too, which is not in force", c.Have.Name, c.Have.Value)
	}
	return c.Why
}

func isDKIM(name string) bool { return strings.Contains(name, "._domainkey.") }

func isSPF(text string) bool {
	version, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(version, "v=spf1")
}

// dkimReason says what is wrong with a key record.
func dkimReason(have, want string) string {
	h, w := tagsOf(have), tagsOf(want)
	key := func(l tagList) string { return strings.Join(strings.Fields(l.value("p")), "") }
	switch {
	case !slices.ContainsFunc(h, func(tag [2]string) bool { return tag[0] == "p" }):
		return "the record that is published has no key in it: it has no p="
	case key(h) == "":
		return "the record that is published revokes the key: its p= is empty"
	case key(h) == key(w):
		return "the key is right, and the terms beside it are not what is wanted"
	case len(key(h)) < len(key(w)) && strings.HasPrefix(key(w), key(h)):
		return fmt.Sprintf("the key that is published is cut off after %d of %d characters", len(key(h)), len(key(w)))
	}
	return "the key that is published is another one: signatures with this selector fail"
}

// sameButAll reports whether two SPF records say the same of those that they name.
func sameButAll(a, b string) bool {
	named := func(text string) []string {
		return slices.DeleteFunc(strings.Fields(strings.ToLower(text)), func(term string) bool { return strings.TrimLeft(term, "+-~?") == "all" })
	}
	return slices.Equal(named(a), named(b))
}

// unreadable says why an SPF record by itself counts for nothing; "" if it does not.
func unreadable(r dnstmpl.Record) string {
	z := dnstmpl.Zone{Records: []dnstmpl.Record{r}}
	for _, p := range z.SPFFaults(context.Background(), nil) {
		return p.Text
	}
	return ""
}
