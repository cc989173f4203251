package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

func tlsCommands() []command {
	return []command{
		{name: "tls set", args: "DOMAIN|NEXTHOP|* LEVEL [match=M] [ca=FILE] [min=VERSION] [ciphers=C] [--site S]",
			short: "set a TLS policy: none, may, encrypt, fingerprint, dane, dane-only, verify or secure", run: tlsSet, prepare: readAuthorities},
		{name: "tls list", args: "[--cached]", short: "the TLS policies; with --cached those of other domains, kept as MTA-STS wants it", run: tlsList},
		{name: "tls delete", args: "DOMAIN|NEXTHOP|* [--site S]", short: "delete a TLS policy", run: tlsDelete},
		{name: "tls report", args: "[DOMAIN]", short: "what became of TLS in the last three days, by policy and kind of failure", run: tlsReport},
	}
}

// authorities is how an attribute with certificates begins.
const authorities = "ca="

// readAuthorities puts the file of certificates in the place of its name, for the
// server may be elsewhere.
func readAuthorities(_ *app, _ command, args []string) ([]string, error) {
	read := make([]string, len(args))
	for i, a := range args {
		read[i] = a
		if file, ok := strings.CutPrefix(a, authorities); ok && file != "" {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			read[i] = authorities + string(text)
		}
	}
	return read, nil
}

func tlsSet(ctx context.Context, c *call) error {
	var p sites.TLSPolicy
	words, err := c.parse(2, -1, func(fs *flag.FlagSet) { fs.StringVar(&p.Site, "site", "", "") })
	if err != nil {
		return err
	}
	parsed, err := transport.ParseTLSPolicy(words[1], words[2:]...)
	if err != nil {
		return err
	}
	p.Key, p.Level, p.TLSTerms = words[0], parsed.Level, parsed.TLSTerms
	if err := c.server.Sites().SetTLSPolicy(ctx, p); err != nil {
		return err
	}
	return c.print(p, "TLS to %s: %s\n", p.Key, strings.TrimSpace(string(p.Level)+" "+attributes(p)))
}

// attributes are the terms of a policy for people.
func attributes(p sites.TLSPolicy) string {
	ca := ""
	if n := strings.Count(p.CA, "-----BEGIN CERTIFICATE-----"); n > 0 {
		ca = fmt.Sprintf("(%d %s)", n, plural(n, "certificate"))
	}
	var all []string
	for _, a := range []struct{ name, value string }{
		{"match", p.Match}, {"ca", ca}, {"min", string(p.MinVersion)}, {"ciphers", p.Ciphers},
	} {
		if a.value != "" {
			all = append(all, a.name+"="+a.value)
		}
	}
	return strings.Join(all, " ")
}

func tlsList(ctx context.Context, c *call) error {
	var cached bool
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) { fs.BoolVar(&cached, "cached", false, "") }); err != nil {
		return err
	}
	if cached {
		return stsList(ctx, c)
	}
	all, err := c.server.Sites().ListTLSPolicies(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no TLS policies", "KEY\tLEVEL\tATTRIBUTES\tSITE", func(p sites.TLSPolicy) []any {
		return []any{p.Key, p.Level, cmp.Or(attributes(p), "-"), cmp.Or(p.Site, "-")}
	})
}

func tlsDelete(ctx context.Context, c *call) error {
	var site string
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) { fs.StringVar(&site, "site", "", "") })
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveTLSPolicy(ctx, site, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"key": words[0]}, "TLS policy of %s deleted\n", words[0])
}

// tlsReport prints what a running server has counted.
func tlsReport(_ context.Context, c *call) error {
	words, err := c.parse(0, 1, nil)
	if err != nil {
		return err
	}
	all := c.server.TLSCounts()
	if len(words) == 1 {
		kept := all[:0]
		for _, n := range all {
			if strings.EqualFold(n.Domain, words[0]) {
				kept = append(kept, n)
			}
		}
		all = kept
	}
	return table(c, all, "no TLS sessions counted", "DAY\tDOMAIN\tPOLICY\tSUCCESS\tFAILURE\tKINDS", func(n transport.TLSCount) []any {
		return []any{n.Day, cmp.Or(n.Domain, "(others)"), n.Kind, n.Success, n.Failure, kinds(n)}
	})
}

// kinds are the kinds of failure with their numbers.
func kinds(n transport.TLSCount) string {
	var all []string
	for _, f := range n.Failures {
		one := fmt.Sprintf("%s %d", f.Kind, f.Sessions)
		if f.Host != "" {
			one += " at " + f.Host
		}
		all = append(all, one)
	}
	return cmp.Or(strings.Join(all, ", "), "-")
}
