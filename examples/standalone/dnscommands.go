package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/sites"
)

func dnsCommands() []command {
	return []command{
		{name: "dns validate", args: "FILE [--syntax go|blade]", short: "check a template of DNS records; FILE - is standard input", here: dnsValidate},
	}
}

// exampleData is what a template is tried with.
func exampleData() dnstmpl.Data {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	return dnstmpl.Data{
		Zone: "example.com", IPs: []netip.Addr{four, six}, Hostname: "mail.example.com", Egress: []netip.Addr{four, six},
		DKIM:   []dnstmpl.DKIM{{Name: "s1._domainkey.example.com", Text: "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}},
		MTASTS: "20260101000000", TLSRPT: []string{"mailto:tls@example.com"},
	}
}

// A validation is the answer of dns validate.
type validation struct {
	File     string           `json:"file"`
	Valid    bool             `json:"valid"`
	Records  int              `json:"records"`            // of the example's zone
	Zones    []dnstmpl.Zone   `json:"zones,omitempty"`    // of the example, at the zone and below it
	Problems dnstmpl.Problems `json:"problems,omitempty"` // one for each that is wrong
}

// dnsValidate needs no server: it tells of a file what template set would.
func dnsValidate(_ context.Context, a *app, args []string) error {
	cmd, _, err := find([]string{"dns", "validate"})
	if err != nil {
		return err
	}
	var syntax string
	words, err := (&call{command: cmd, args: args}).parse(1, 1, func(fs *flag.FlagSet) { fs.StringVar(&syntax, "syntax", "", "") })
	if err != nil {
		return err
	}
	text, err := readFile(a.stdin, words[0], maxTemplateFile)
	if err != nil {
		return err
	}
	t := sites.Template{Name: filepath.Base(words[0]), Syntax: cmp.Or(sites.TemplateSyntax(syntax), sites.SyntaxOf(words[0])), Text: string(text)}
	if err := t.Check(); err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	t.Name = words[0] // as it was called, for whoever jumps to the line
	v := validation{File: words[0]}
	v.Zones, v.Problems = tryTemplate(t)
	v.Valid = len(v.Problems) == 0
	if v.Valid {
		v.Records = len(v.Zones[0].Records)
	}
	switch {
	case a.json:
		err = json.NewEncoder(a.stdout).Encode(v)
	case v.Valid:
		_, err = fmt.Fprintf(a.stdout, "%s: %d records for example.com, nothing wrong\n", v.File, v.Records)
	default:
		for _, p := range v.Problems {
			fmt.Fprintln(a.stdout, printable(p.Error()))
		}
	}
	if err == nil && !v.Valid {
		return errNo
	}
	return err
}
