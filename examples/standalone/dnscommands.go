package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/dnscheck"
	"github.com/panelmail/panelmail/mailcore/sites"
)

func dnsCommands() []command {
	return []command{
		{name: "dns render", args: "DOMAIN [--paste]", short: "the DNS records that a domain is to have, as zone text; with --paste for the form of another DNS provider", run: dnsRender},
		{name: "dns check", args: "DOMAIN", short: "compare them with what the authoritative servers publish, and say what to add, change and remove", run: dnsCheck},
		{name: "dns policy", short: "the MTA-STS policy to be served as https://mta-sts.DOMAIN/.well-known/mta-sts.txt", run: dnsPolicy},
		{name: "dns validate", args: "FILE [--syntax go|blade]", short: "check a template of DNS records; FILE - is standard input", here: dnsValidate},
	}
}

// zone is the records of a domain, and the data that they are rendered with. A host
// without a name that others know has none to publish.
func (c *call) zone(ctx context.Context, domain string) (zone dnstmpl.Zone, data dnstmpl.Data, err error) {
	if name := strings.TrimSuffix(c.settings.Hostname, "."); name == "localhost.localdomain" || !strings.Contains(name, ".") {
		return zone, data, fmt.Errorf("this host is %s, which nobody finds in the DNS: set hostname, and dns.addresses, in the configuration first", name)
	}
	if data, err = c.server.DNSData(ctx, domain); err != nil {
		return zone, data, err
	}
	zone, err = c.server.RenderDNS(ctx, data)
	return zone, data, err
}

// dnsPolicy prints what receivers are to find by HTTPS.
func dnsPolicy(_ context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	policy := c.server.MTASTSPolicy()
	if policy == "" {
		return errors.New("there is no policy: set dns.policy_host or dns.mta_sts")
	}
	if c.json {
		return c.object(servedPolicy{policy})
	}
	_, err := io.WriteString(c.stdout, policy)
	return err
}

// A servedPolicy is the answer of dns policy.
type servedPolicy struct {
	Policy string `json:"policy"`
}

func dnsRender(ctx context.Context, c *call) error {
	var paste bool
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) { fs.BoolVar(&paste, "paste", false, "") })
	if err != nil {
		return err
	}
	zone, data, err := c.zone(ctx, words[0])
	if err != nil {
		return err
	}
	for _, w := range zone.Lint(ctx, data, nil) {
		fmt.Fprintf(c.stderr, "warning: %s\n", printable(w.Error()))
	}
	if c.json {
		for _, r := range zone.Records {
			if err := c.object(r); err != nil {
				return err
			}
		}
		return nil
	}
	text := zone.String()
	if paste {
		text = zone.Paste()
	}
	_, err = io.WriteString(c.stdout, text)
	return err
}

// dnsCheckLimit is how long dns check may take in all.
const dnsCheckLimit = time.Minute

func dnsCheck(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	zone, data, err := c.zone(ctx, words[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dnsCheckLimit)
	defer cancel()
	report, err := dnscheck.Check(ctx, c.settings.resolver(), dnscheck.Delegated(zone, data.DKIM))
	if err != nil {
		return err
	}
	answer := checkedDNS{Report: report}
	answer.Warnings = slices.DeleteFunc(c.server.LintDNS(ctx, report.After(zone), data), func(w dnstmpl.Problem) bool {
		return slices.ContainsFunc(report.Faults, func(f dnstmpl.Problem) bool { return f.Rule == w.Rule && f.Text == w.Text })
	})
	if c.json {
		err = c.object(answer)
	} else {
		printReport(c.stdout, report)
		for _, w := range answer.Warnings {
			fmt.Fprintf(c.stdout, "warning: %s\n", printable(w.Error()))
		}
	}
	if err == nil && !report.Done() {
		return errNo
	}
	return err
}

// A checkedDNS is the answer of dns check. Warnings are about what is wanted, and do not
// count for the exit status.
type checkedDNS struct {
	dnscheck.Report
	Warnings dnstmpl.Problems `json:"warnings,omitempty"`
}

// printReport writes what to do, first with records, then with servers.
func printReport(w io.Writer, r dnscheck.Report) {
	if r.Recursive {
		fmt.Fprintln(w, "No authoritative servers are known: this is what the resolver says, which may be old.")
	}
	for _, o := range r.Operations {
		printOperation(w, "", o)
	}
	for _, waiting := range r.Waiting {
		fmt.Fprintln(w, printable(waiting.String()))
		for _, o := range waiting.Operations {
			printOperation(w, "  ", o)
		}
	}
	for _, t := range r.Troubles {
		fmt.Fprintln(w, printable(t.String()))
	}
	for _, name := range r.Unknown {
		fmt.Fprintf(w, "%s: nobody knows what is published\n", name)
	}
	for _, f := range r.Faults {
		fmt.Fprintf(w, "%s\n", printable(f.Error()))
	}
	if r.Done() {
		fmt.Fprintf(w, "%s: all %d names are published as they are to be\n", r.Zone, len(r.Right))
	}
}

func printOperation(w io.Writer, indent string, o dnscheck.Operation) {
	for line := range strings.Lines(o.Change.String() + "\n") {
		fmt.Fprintf(w, "%s%s\n", indent, printable(strings.TrimSuffix(line, "\n")))
	}
	why := o.Why
	if o.Alias != "" {
		why = fmt.Sprintf("%s is an alias of it; %s", o.Alias, why)
	}
	if len(o.Servers) > 0 {
		why = fmt.Sprintf("on %s, for the servers differ; %s", strings.Join(o.Servers, " and "), why)
	}
	fmt.Fprintf(w, "%s  %s: %s\n", indent, o.Op, printable(why))
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
	Warnings dnstmpl.Problems `json:"warnings,omitempty"` // about records that are in order by themselves
}

// dnsValidate needs no server: it tells of a file what template set would.
func dnsValidate(ctx context.Context, a *app, args []string) error {
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
		v.Warnings = lintExamples(ctx, v.Zones)
	}
	if a.json {
		err = json.NewEncoder(a.stdout).Encode(v)
	} else {
		_, err = io.WriteString(a.stdout, v.text())
	}
	if err == nil && !v.Valid {
		return errNo
	}
	return err
}

// text is the answer for people.
func (v validation) text() string {
	var b strings.Builder
	if v.Valid {
		wrong := "nothing wrong"
		if len(v.Warnings) > 0 {
			wrong = "but"
		}
		fmt.Fprintf(&b, "%s: %d records for example.com, %s\n", v.File, v.Records, wrong)
	}
	for _, p := range v.Problems {
		fmt.Fprintln(&b, printable(p.Error()))
	}
	for _, w := range v.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", printable(w.Error()))
	}
	return b.String()
}

// lintExamples reports what is odd in the first of the examples that has anything odd,
// without asking the DNS.
func lintExamples(ctx context.Context, zones []dnstmpl.Zone) dnstmpl.Problems {
	for i, subdomain := range exampleSubdomains() {
		data := exampleData()
		data.Subdomain = subdomain
		if warnings := zones[i].Lint(ctx, data, nil); len(warnings) > 0 {
			return warnings
		}
	}
	return nil
}
