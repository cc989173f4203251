package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func loginCommands() []command {
	return []command{
		{name: "login add", args: "NAME --site S [--hash]", short: "add a login; the password, or a hash of it, is read from standard input", run: loginAdd, prepare: readSecret},
		{name: "login import", args: "FILE|- --site S", short: "add the logins of a file of name:{SCHEME}hash, all or none", run: loginImport, prepare: readLoginFile},
		{name: "login passwd", args: "NAME", short: "change a password, read from standard input", run: loginPasswd, prepare: readSecret},
		{name: "login list", args: "[--site S]", short: "the logins", run: loginList},
		{name: "login remove", args: "NAME", short: "remove a login", run: loginRemove},
	}
}

func loginAdd(ctx context.Context, c *call) error {
	var site string
	var hashed bool
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&site, "site", "", "")
		fs.BoolVar(&hashed, "hash", false, "")
	})
	if err != nil {
		return err
	}
	if site == "" {
		return c.usage("--site is missing")
	}
	secret, err := c.password()
	if err != nil {
		return err
	}
	l := sites.Login{Name: words[0], Site: site}
	add := c.server.Sites().AddLogin
	if hashed {
		add = c.server.Sites().AddLoginHash
	}
	if err := add(ctx, l, secret); err != nil {
		return err
	}
	return c.print(l, "login %s added to site %s\n", l.Name, l.Site)
}

// readLoginFile reads the file where the user is: the server may be elsewhere.
// The file is the only argument that is no flag and not the value of one.
func readLoginFile(a *app, cmd command, args []string) ([]string, error) {
	words, err := (&call{command: cmd, args: args}).parse(1, 1, loginImportFlags(new(string)))
	if err != nil || words[0] == "-" {
		return args, err
	}
	text, err := os.ReadFile(words[0])
	if err != nil {
		return nil, err
	}
	a.stdin = bytes.NewReader(text)
	return args, nil
}

func loginImportFlags(site *string) func(*flag.FlagSet) {
	return func(fs *flag.FlagSet) { fs.StringVar(site, "site", "", "") }
}

func loginImport(ctx context.Context, c *call) error {
	var site string
	words, err := c.parse(1, 1, loginImportFlags(&site))
	if err != nil {
		return err
	}
	if site == "" {
		return c.usage("--site is missing")
	}
	n, err := c.server.Sites().ImportLogins(ctx, site, c.stdin)
	if err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	return c.print(map[string]int{"logins": n}, "%d %s added to site %s\n", n, plural(n, "login"), site)
}

func loginPasswd(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	password, err := c.password()
	if err != nil {
		return err
	}
	if err := c.server.Sites().SetPassword(ctx, words[0], password); err != nil {
		return err
	}
	return c.print(sites.Login{Name: words[0]}, "password of %s changed\n", words[0])
}

func loginsOf(ctx context.Context, c *call, site string) (all []sites.Login, err error) {
	for l, err := range c.server.Sites().ListLogins(ctx, site) {
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func loginList(ctx context.Context, c *call) error {
	var site string
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) { fs.StringVar(&site, "site", "", "") }); err != nil {
		return err
	}
	all, err := loginsOf(ctx, c, site)
	if err != nil {
		return err
	}
	return table(c, all, "no logins", "LOGIN\tSITE", func(l sites.Login) []any { return []any{l.Name, l.Site} })
}

func loginRemove(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveLogin(ctx, words[0]); err != nil {
		return err
	}
	return c.print(sites.Login{Name: words[0]}, "login %s removed\n", words[0])
}
