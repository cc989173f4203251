package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func siteCommands() []command {
	return []command{
		{name: "site add", args: "NAME [--uid N[,N…]] [--contact ADDRESS]", short: "add a hosted site", run: siteAdd},
		{name: "site list", short: "the sites", run: siteList},
		{name: "site show", args: "NAME", short: "a site with its domains and logins", run: siteShow},
		{name: "site suspend", args: "NAME", short: "take nothing from a site, and put its mail on hold", run: siteSuspend},
		{name: "site resume", args: "NAME", short: "end that, and release what it has put on hold", run: siteResume},
		{name: "site rename", args: "NAME NEWNAME", short: "give a site another name, everywhere", run: siteRename},
		{name: "site remove", args: "NAME [--dry-run] [--yes] [--by WHO]", short: "remove a site with all that belongs to it, mail included", run: siteRemove, prepare: confirmRemove},
		{name: "site receipts", args: "[NAME]", short: "what was removed with sites, when and by whom", run: siteReceipts},
		{name: "domain add", args: "DOMAIN --site S [--class hosted|alias|relay]", short: "give a domain to a site", run: domainAdd},
		{name: "domain list", args: "[--site S]", short: "the domains", run: domainList},
		{name: "domain remove", args: "DOMAIN", short: "remove a domain and what hangs on it", run: domainRemove},
	}
}

// readSecret reads a password where the user is: the first line of standard
// input, which a terminal does not show.
func readSecret(a *app, cmd command, args []string) ([]string, error) {
	in, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(a.stdin, 4096)).ReadString('\n')
		a.stdin = strings.NewReader(line)
		if errors.Is(err, io.EOF) {
			err = nil // without a line end is well too
		}
		return args, err
	}
	fmt.Fprint(a.stderr, "Password: ")
	secret, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.stderr)
	a.stdin = bytes.NewReader(secret)
	return args, err
}

// password is the one that was read for the command.
func (c *call) password() (string, error) {
	line, err := io.ReadAll(c.stdin)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(line), "\r\n")
	if secret == "" {
		return "", c.usage("no password on standard input")
	}
	return secret, nil
}

func siteAdd(ctx context.Context, c *call) error {
	var uids, contact string
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&uids, "uid", "", "")
		fs.StringVar(&contact, "contact", "", "")
	})
	if err != nil {
		return err
	}
	site := sites.Site{Name: words[0], Contact: contact}
	for text := range strings.SplitSeq(uids, ",") {
		if text == "" {
			continue
		}
		uid, err := strconv.Atoi(text)
		if err != nil {
			return c.usage("uid %q is no number", text)
		}
		site.UIDs = append(site.UIDs, uid)
	}
	if err := c.server.AddSite(ctx, site); err != nil {
		return err
	}
	return c.print(site, "site %s added\n", site.Name)
}

func siteList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListSites(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no sites", "SITE\tUIDS\tCONTACT\tSTATE", func(s sites.Site) []any {
		state := "active"
		switch {
		case s.Removing:
			state = "being removed"
		case s.Suspended:
			state = "suspended"
		}
		return []any{s.Name, strings.Trim(fmt.Sprint(s.UIDs), "[]"), s.Contact, state}
	})
}

func siteShow(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	all, err := c.server.Sites().ListSites(ctx)
	if err != nil {
		return err
	}
	for _, site := range all {
		if site.Name != words[0] {
			continue
		}
		domains, err := c.server.Sites().ListDomains(ctx, site.Name)
		if err != nil {
			return err
		}
		logins, err := loginsOf(ctx, c, site.Name)
		if err != nil {
			return err
		}
		if c.json {
			return c.object(struct {
				sites.Site
				Domains []sites.Domain `json:"domains"`
				Logins  []sites.Login  `json:"logins"`
			}{site, domains, logins})
		}
		fmt.Fprintf(c.stdout, "site %s\n", site.Name)
		for _, d := range domains {
			fmt.Fprintf(c.stdout, "  domain %s (%s)\n", d.Name, d.Class)
		}
		for _, l := range logins {
			fmt.Fprintf(c.stdout, "  login %s\n", l.Name)
		}
		return nil
	}
	return fmt.Errorf("site %q: %w", words[0], sites.ErrNotFound)
}

func domainAdd(ctx context.Context, c *call) error {
	var site, class string
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&site, "site", "", "")
		fs.StringVar(&class, "class", "hosted", "")
	})
	if err != nil {
		return err
	}
	if site == "" {
		return c.usage("--site is missing")
	}
	d := sites.Domain{Name: words[0], Site: site, Class: sites.Class(class)}
	if err := c.server.Sites().AddDomain(ctx, d); err != nil {
		return err
	}
	return c.print(d, "domain %s added to site %s\n", d.Name, d.Site)
}

func domainList(ctx context.Context, c *call) error {
	var site string
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) { fs.StringVar(&site, "site", "", "") }); err != nil {
		return err
	}
	all, err := c.server.Sites().ListDomains(ctx, site)
	if err != nil {
		return err
	}
	return table(c, all, "no domains", "DOMAIN\tSITE\tCLASS", func(d sites.Domain) []any {
		return []any{d.Name, d.Site, d.Class}
	})
}

func domainRemove(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	receipt, err := c.server.Sites().RemoveDomain(ctx, words[0])
	if err != nil {
		return err
	}
	return c.print(receiptOf(receipt), "domain %s removed\n", words[0])
}
