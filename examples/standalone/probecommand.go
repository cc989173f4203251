package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// probeLimit is how long a probe may take in all.
const probeLimit = time.Minute

func probeCommands() []command {
	return []command{
		{name: "probe", args: "HOST[:PORT] [--from SENDER] [--site S] [--login L]", short: "the dialogue with a host, TLS and its certificate included; nothing is sent", run: probe},
	}
}

func probe(ctx context.Context, c *call) error {
	q := transport.Query{Origin: transport.Origin{Via: transport.ViaAPI, UID: -1}}
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&q.Sender, "from", "", "")
		fs.StringVar(&q.Origin.Site, "site", "", "")
		fs.StringVar(&q.Origin.Login, "login", "", "")
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	all, rule, err := c.server.Probe(ctx, bracketed(words[0]), q)
	if err != nil && len(all) == 0 {
		return err
	}
	answered := false
	for _, p := range all {
		answered = answered || p.Problem == ""
		if c.json {
			if err := c.object(p); err != nil {
				return err
			}
			continue
		}
		printProbe(c.stdout, p, rule)
	}
	if !answered {
		return errNo
	}
	return nil
}

// bracketed is a host as a next hop that is not looked up for mail exchangers.
func bracketed(host string) string {
	if strings.HasPrefix(host, "[") {
		return host
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "[" + host + "]"
	}
	if name, port, err := net.SplitHostPort(host); err == nil {
		return "[" + name + "]:" + port
	}
	return "[" + host + "]"
}

// printProbe writes what was seen of one address.
func printProbe(w io.Writer, p transport.Probe, rule string) {
	from := p.From
	if from == "" {
		from = "the system's choice"
	}
	fmt.Fprintf(w, "%s at %s, from %s as %s\t(%s)\n", p.Host, p.Addr, from, p.HELO, rule)
	for line := range strings.Lines(p.Transcript) {
		fmt.Fprintf(w, "  %s", line)
	}
	if t := p.TLS; t != nil {
		worth := "verified"
		if !t.Verified {
			worth = "not verified: " + t.Problem
		}
		fmt.Fprintf(w, "  %s with %s, %s\n", t.Version, t.Cipher, printable(worth))
		for _, c := range t.Chain {
			fmt.Fprintf(w, "    %s\n      names %s\n      issuer %s\n      from %s to %s\n      SHA-256 %s\n      of its key %s\n",
				printable(c.Subject), printable(strings.Join(c.Names, " ")), printable(c.Issuer),
				c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), c.SHA256, c.KeySHA256)
		}
	}
	if d := p.DANE; d != nil {
		fmt.Fprintf(w, "  DANE: %d TLSA records, DNSSEC %s %s\n", len(d.Records), orUnknown(string(d.Status)), printable(d.Detail))
	}
	if p.Problem != "" {
		fmt.Fprintf(w, "  problem: %s\n", printable(p.Problem))
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
