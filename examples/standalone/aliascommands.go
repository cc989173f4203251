package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func aliasCommands() []command {
	return []command{
		{name: "alias set", args: "PATTERN TARGET[,TARGET…] [--site S] [--disabled]", short: "add or change an alias; PATTERN is an address, @DOMAIN, or a name at the host itself", run: aliasSet},
		{name: "alias list", args: "[--site S]", short: "the aliases, as alias import reads them", run: aliasList},
		{name: "alias delete", args: "PATTERN", short: "delete an alias", run: aliasDelete},
		{name: "alias import", args: "FILE [--site S]", short: "add the aliases of an aliases(5) or virtual(5) file, all or none", run: aliasImport, prepare: readAliasFile},
		{name: "newaliases", args: "[FILE]", short: "import the file that the configuration names, /etc/aliases; also as a symbolic link to this program", run: newAliases, prepare: readSystemAliases},
	}
}

func aliasSet(ctx context.Context, c *call) error {
	var a sites.AliasEntry
	words, err := c.parse(2, -1, func(fs *flag.FlagSet) {
		fs.StringVar(&a.Site, "site", "", "")
		fs.BoolVar(&a.Disabled, "disabled", false, "")
	})
	if err != nil {
		return err
	}
	a.Pattern = words[0]
	for _, word := range words[1:] {
		targets, err := sites.SplitTargets(word)
		if err != nil {
			return c.usage("%s: %v", word, err)
		}
		a.Targets = append(a.Targets, targets...)
	}
	if err := c.server.Sites().SetAlias(ctx, a); err != nil {
		return err
	}
	return c.print(a, "alias %s\n", a)
}

func aliasList(ctx context.Context, c *call) error {
	var site string
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) { fs.StringVar(&site, "site", "", "") }); err != nil {
		return err
	}
	return lines(c, c.server.Sites().ListAliases(ctx, site), "no aliases", func(a sites.AliasEntry) string {
		if a.Disabled {
			return fmt.Sprintf("# disabled: %v", a)
		}
		return a.String()
	})
}

// lines writes rows as they come, for there may be very many: one line each, or
// an object a line with --json. With neither rows nor --json it says so.
func lines[T any](c *call, rows iter.Seq2[T, error], none string, line func(T) string) error {
	any := false
	for row, err := range rows {
		if err != nil {
			return err
		}
		any = true
		if c.json {
			err = c.object(row)
		} else {
			_, err = fmt.Fprintln(c.stdout, line(row))
		}
		if err != nil {
			return err
		}
	}
	if any || c.json {
		return nil
	}
	_, err := fmt.Fprintln(c.stdout, none)
	return err
}

func aliasDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveAlias(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"alias": words[0]}, "alias %s deleted\n", words[0])
}

// importFlags reads the command line of alias import.
func (c *call) importFlags() (file, site string, err error) {
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) { fs.StringVar(&site, "site", "", "") })
	if err != nil {
		return "", "", err
	}
	return words[0], site, nil
}

// readAliasFile reads the file where the user is, for the server may be
// elsewhere.
func readAliasFile(a *app, cmd command, args []string) ([]string, error) {
	name, _, err := (&call{command: cmd, args: args}).importFlags()
	if err != nil {
		return nil, err
	}
	text, err := readFile(a.stdin, name, maxAliasText)
	a.stdin = bytes.NewReader(text)
	return args, err
}

// maxAliasText is how much text of aliases is read at once, in octets.
const maxAliasText = 32 << 20

func aliasImport(ctx context.Context, c *call) error {
	name, site, err := c.importFlags()
	if err != nil {
		return err
	}
	return c.importAliases(ctx, name, site)
}

func (c *call) importAliases(ctx context.Context, name, site string) error {
	all, err := sites.ParseAliases(name, c.stdin)
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Site = site
	}
	if err := c.server.Sites().SetAliases(ctx, all); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	noun := "aliases"
	if len(all) == 1 {
		noun = "alias"
	}
	return c.print(map[string]int{"aliases": len(all)}, "%d %s imported\n", len(all), noun)
}

// readSystemAliases reads the file of the configuration, or the one that is named.
// Packages run newaliases when they are installed, also where there is no such
// file: that is no aliases. What the options of other programs of this name say
// is the case here anyway.
func readSystemAliases(a *app, _ command, args []string) ([]string, error) {
	name, named := a.settings.Aliases, false
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			name, named = arg, true
		}
	}
	text, err := readFile(a.stdin, name, maxAliasText)
	if errors.Is(err, fs.ErrNotExist) && !named {
		err = nil
	}
	a.stdin = bytes.NewReader(text)
	return []string{name}, err
}

// newAliases imports the file. An alias that is no longer in it stays: what was
// set by hand is not told from what was imported.
func newAliases(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	return c.importAliases(ctx, words[0], "")
}
