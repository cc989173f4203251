package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/sites"
)

func dkimCommands() []command {
	return []command{
		{name: "dkim generate", args: "DOMAIN " + dkimArgs, short: "make keys for signing the mail of a domain; ZONE has the records, which CNAMEs of the domain lead to", run: dkimGenerate},
		{name: "dkim import", args: "DOMAIN SELECTOR " + dkimArgs, short: "add a key that there is, in PEM, read from standard input", run: dkimImport, prepare: readKey},
		{name: "dkim list", args: "[DOMAIN]", short: "the keys and where they stand", run: dkimList},
		{name: "dkim rotate", args: "DOMAIN", short: "make successors, which sign when they are published", run: dkimRotate},
		{name: "dkim record", args: "DOMAIN", short: "the records to publish", run: dkimRecord},
		{name: "dkim check", args: "DOMAIN", short: "compare the keys with what each authoritative server publishes", run: dkimCheck},
		{name: "dkim delete", args: "DOMAIN SELECTOR", short: "retire a key at once, whatever is signed with it", run: dkimDelete},
		{name: "dkim signer list", short: "the next hops that sign by themselves", run: dkimSignerList},
		{name: "dkim signer add", args: "NEXTHOP", short: "do not sign what goes to next hops alone that do it themselves", run: dkimSignerAdd},
		{name: "dkim signer delete", args: "NEXTHOP", short: "sign what goes there", run: dkimSignerDelete},
	}
}

const dkimArgs = "[--algorithm rsa|ed25519|both] [--every DURATION|never] [--zone ZONE] [--own]"

// dkimPolicy reads a domain, how its keys are made, and what else is on the line.
func (c *call) dkimPolicy(words int) (p sites.DKIMPolicy, rest []string, err error) {
	var algorithm, every string
	rest, err = c.parse(words, words, func(fs *flag.FlagSet) {
		fs.StringVar(&algorithm, "algorithm", "rsa", "")
		fs.StringVar(&every, "every", "", "")
		fs.StringVar(&p.Zone, "zone", "", "")
		fs.BoolVar(&p.Own, "own", false, "")
	})
	if err != nil {
		return p, nil, err
	}
	switch algorithm {
	case "rsa", string(dkim.RSA2048):
		p.Algorithms = []dkim.Algorithm{dkim.RSA2048}
	case "ed25519":
		p.Algorithms = []dkim.Algorithm{dkim.Ed25519}
	case "both":
		p.Algorithms = []dkim.Algorithm{dkim.RSA2048, dkim.Ed25519}
	default:
		return p, nil, c.usage("--algorithm %s is not rsa, ed25519 or both", algorithm)
	}
	switch every {
	case "":
	case "never":
		p.Every = -1
	default:
		if err := (*duration)(&p.Every).UnmarshalText([]byte(every)); err != nil {
			return p, nil, c.usage("--every: %v", err)
		}
	}
	p.Domain = rest[0]
	domain := strings.ToLower(p.Domain)
	if _, sited := c.server.Sites().Snapshot().Domain(domain); !sited {
		p.Own = p.Own || c.settings.Hostname == domain || strings.HasSuffix(c.settings.Hostname, "."+domain)
	}
	return p, rest, nil
}

func dkimGenerate(ctx context.Context, c *call) error {
	p, _, err := c.dkimPolicy(1)
	if err != nil {
		return err
	}
	made, err := c.server.Sites().GenerateDKIM(ctx, p)
	if err != nil {
		return err
	}
	return c.toPublish(made, fmt.Sprintf("%s has its keys: see panelmail dkim list, and dkim rotate for others", p.Domain))
}

// readKey passes standard input on.
func readKey(_ *app, _ command, args []string) ([]string, error) { return args, nil }

// maxKey bounds what is read as a key, in octets.
const maxKey = 64 << 10

func dkimImport(ctx context.Context, c *call) error {
	p, words, err := c.dkimPolicy(2)
	if err != nil {
		return err
	}
	pem, err := io.ReadAll(io.LimitReader(c.stdin, maxKey))
	if err != nil {
		return err
	}
	made, err := c.server.Sites().ImportDKIM(ctx, p, words[1], pem)
	if err != nil {
		return err
	}
	return c.toPublish([]sites.DKIMKey{made}, "")
}

func dkimRotate(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	made, err := c.server.Sites().RotateDKIM(ctx, words[0])
	if err != nil {
		return err
	}
	return c.toPublish(made, "")
}

// toPublish shows new keys and their records.
func (c *call) toPublish(made []sites.DKIMKey, none string) error {
	if c.json {
		return table(c, made, "", "", func(sites.DKIMKey) []any { return nil })
	}
	if len(made) == 0 {
		_, err := fmt.Fprintln(c.stdout, none)
		return err
	}
	fmt.Fprintln(c.stdout, "publish this; the keys sign when all servers of the domain have it:")
	for _, k := range made {
		for _, line := range recordLines(k) {
			fmt.Fprintln(c.stdout, line)
		}
	}
	return nil
}

// recordTTL is short enough for a mistake to be put right within the hour.
const recordTTL = 3600

// recordLines are the lines of a zone file for a key.
func recordLines(k sites.DKIMKey) []string {
	text := dnstmpl.Record{Name: cmp.Or(k.Target, k.Name) + ".", TTL: recordTTL, Value: dnstmpl.TXT{Text: k.Record}}.String()
	if k.Target == "" {
		return []string{text}
	}
	alias := dnstmpl.Record{Name: k.Name + ".", TTL: recordTTL, Value: dnstmpl.CNAME{Target: k.Target + "."}}
	return []string{alias.String(), text}
}

// dkimKeys are the keys of a domain, of which there is one at least.
func (c *call) dkimKeys(ctx context.Context, domain string) ([]sites.DKIMKey, error) {
	all, err := c.server.Sites().ListDKIM(ctx, domain)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s has no DKIM key: see panelmail dkim generate", domain)
	}
	return all, err
}

func dkimList(ctx context.Context, c *call) error {
	words, err := c.parse(0, 1, nil)
	if err != nil {
		return err
	}
	all, err := c.server.Sites().ListDKIM(ctx, strings.Join(words, ""))
	if err != nil {
		return err
	}
	return table(c, all, "no DKIM keys", "DOMAIN\tSELECTOR\tALGORITHM\tSTATE\tSINCE\tREPLACED", func(k sites.DKIMKey) []any {
		return []any{k.Domain, k.Selector, k.Algorithm, k.State, day(k.Since()), day(k.Rotate)}
	})
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateOnly)
}

// A dkimText is a record as dkim record shows it with --json.
type dkimText struct {
	Name  string          `json:"name"`
	Type  string          `json:"type"`
	Text  string          `json:"text,omitempty"`
	To    string          `json:"target,omitempty"`
	State sites.DKIMState `json:"state"`
}

func dkimRecord(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	all, err := c.dkimKeys(ctx, words[0])
	if err != nil {
		return err
	}
	for _, k := range all {
		if !k.Live() {
			continue
		}
		if !c.json {
			fmt.Fprintf(c.stdout, "; %s\n%s\n", k.State, strings.Join(recordLines(k), "\n"))
			continue
		}
		if k.Target != "" {
			if err := c.object(dkimText{Name: k.Name, Type: "CNAME", To: k.Target, State: k.State}); err != nil {
				return err
			}
		}
		if err := c.object(dkimText{Name: cmp.Or(k.Target, k.Name), Type: "TXT", Text: k.Record, State: k.State}); err != nil {
			return err
		}
	}
	return nil
}

func dkimCheck(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if _, err := c.dkimKeys(ctx, words[0]); err != nil {
		return err
	}
	all, err := c.server.CheckDKIM(ctx, words[0])
	if err != nil {
		return err
	}
	wrong := false
	for _, k := range all {
		wrong = wrong || len(k.Problems) > 0
		if c.json {
			if err := c.object(k); err != nil {
				return err
			}
			continue
		}
		verdict := "ok"
		if len(k.Problems) > 0 {
			verdict = "wrong"
		}
		fmt.Fprintf(c.stdout, "%s: %s, %s\n", k.Name, k.State, verdict)
		for _, p := range append(k.Problems, k.Advice()...) {
			fmt.Fprintf(c.stdout, "  %s\n", p)
		}
	}
	if wrong {
		return errNo
	}
	return nil
}

func dkimDelete(ctx context.Context, c *call) error {
	words, err := c.parse(2, 2, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveDKIM(ctx, words[0], words[1]); err != nil {
		return err
	}
	return c.print(map[string]string{"domain": words[0], "selector": words[1]}, "key %s of %s is retired: take its record out of the DNS\n", words[1], words[0])
}

// A signingHop is a next hop as dkim signer shows it with --json.
type signingHop struct {
	Nexthop string `json:"nexthop"`
}

func dkimSignerList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	keys, err := c.server.Sites().ListDKIMSigners(ctx)
	if err != nil {
		return err
	}
	var all []signingHop
	for _, k := range keys {
		all = append(all, signingHop{k})
	}
	return table(c, all, "no next hop signs by itself", "NEXTHOP", func(h signingHop) []any { return []any{h.Nexthop} })
}

func dkimSignerAdd(ctx context.Context, c *call) error {
	return c.dkimSigner(ctx, "mail for %s is not signed here\n", c.server.Sites().AddDKIMSigner)
}

func dkimSignerDelete(ctx context.Context, c *call) error {
	return c.dkimSigner(ctx, "mail for %s is signed here\n", c.server.Sites().RemoveDKIMSigner)
}

func (c *call) dkimSigner(ctx context.Context, done string, do func(context.Context, string) error) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := do(ctx, words[0]); err != nil {
		return err
	}
	return c.print(signingHop{words[0]}, done, words[0])
}
