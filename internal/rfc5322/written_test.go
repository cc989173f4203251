package rfc5322_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/rfc5322"
)

func TestAnAddressIsFoundHoweverItIsWritten(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                              nil,
		"Undisclosed recipients:;":                      nil,
		"root (Cron Daemon)":                            nil,
		"a@b.example":                                   {"a@b.example"},
		"<a@b.example>":                                 {"a@b.example"},
		`"Ann" <a@b.example>, c@d.example`:              {"a@b.example", "c@d.example"},
		"Shop, Inc. <a@b.example>":                      {"a@b.example"},
		`"ceo@rival.example" <a@b.example>`:             {"a@b.example"},
		`ceo@rival.example <a@b.example>`:               {"ceo@rival.example", "a@b.example"},
		"(ceo@rival.example) a@b.example":               {"a@b.example"},
		"(a (b) c@d) e@f (g":                            {"e@f"},
		"(a@b.example":                                  {"a@b.example"},
		`"a@b.example`:                                  {"a@b.example"},
		`"a b"@c.example`:                               {`"a b"@c.example`},
		`"a\"@b" c@d.example`:                           {"c@d.example"},
		"a . b @ c . example (x) , d":                   {"a.b@c", "a.b@c.", "a.b@c.example"},
		"a@b (x) . (y) example":                         {"a@b", "a@b.", "a@b.example"},
		"<@x.example,@y.example:a@b.example>":           {"@x.example", "@y.example", "a@b.example"},
		"x@b.example. (y":                               {"x@b.example.", "x@b.example.y"},
		"x@b.example. Shop":                             {"x@b.example.", "x@b.example.Shop"},
		"x@b.example\x01y":                              {"x@b.example"},
		"group: a@b.example, c@d.example;":              {"a@b.example", "c@d.example"},
		"a@[192.0.2.1]":                                 {"a@[192.0.2.1]"},
		"a@b@c":                                         {"a@b", "@c"},
		"a@b.example:c@d.example":                       {"a@b.example", "c@d.example"},
		"ä@bücher.example":                              {"ä@bücher.example"},
		"=?utf-8?q?ceo=40rival.example?= <a@b.example>": {"a@b.example"},
		"a@": {"a@"},
		"@":  {"@"},
	} {
		if diff := cmp.Diff(want, rfc5322.WrittenAddresses(text)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", text, diff)
		}
	}
}

func TestALongListOfUnclosedThingsIsScannedInTime(t *testing.T) {
	for _, unit := range []string{"(", `"`, "@", "a@b.", "([", `\"`, ".", "a.", "@a.", "@ ", "a@b. ", "@. ("} {
		began := time.Now()
		rfc5322.WrittenAddresses(strings.Repeat(unit, 100<<10/len(unit)))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q: %v", unit, took)
		}
	}
}
