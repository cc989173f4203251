package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"path/filepath"
	"time"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/sites"
)

func templateCommands() []command {
	return []command{
		{name: "template set", args: "default|SITE FILE [--syntax go|blade]", short: "take the template of DNS records in FILE for a site, or for all that have none of their own; FILE - is standard input", run: templateSet, prepare: readTemplate},
		{name: "template convert", args: "PANEL FILE", short: "make a template of that of another panel (cpanel, directadmin, hestia, ispconfig, openpanel, plesk), and warn of what is lost; FILE - is standard input", here: templateConvert},
		{name: "template list", short: "the templates of DNS records", run: templateList},
		{name: "template show", args: "default|SITE", short: "the text of a template", run: templateShow},
		{name: "template delete", args: "default|SITE", short: "delete a template", run: templateDelete},
	}
}

// maxTemplateFile is more than a template may have, in octets.
const maxTemplateFile = 1 << 20

// templateFlags is the command line of template set.
func (c *call) templateFlags() (t sites.Template, err error) {
	var syntax string
	words, err := c.parse(2, 2, func(fs *flag.FlagSet) { fs.StringVar(&syntax, "syntax", "", "") })
	if err != nil {
		return t, err
	}
	t.Site, t.Name = templateSite(words[0]), filepath.Base(words[1])
	if words[1] == "-" {
		t.Name = "standard input"
	}
	t.Syntax = cmp.Or(sites.TemplateSyntax(syntax), sites.SyntaxOf(words[1]))
	return t, nil
}

// templateSite is a site as the store of templates has it.
func templateSite(word string) string {
	if word == "default" {
		return ""
	}
	return word
}

// readTemplate reads the file where the user is.
func readTemplate(a *app, cmd command, args []string) ([]string, error) {
	c := &call{command: cmd, args: args}
	if _, err := c.templateFlags(); err != nil {
		return nil, err
	}
	words, err := c.parse(2, 2, func(fs *flag.FlagSet) { fs.String("syntax", "", "") })
	if err != nil {
		return nil, err
	}
	text, err := readFile(a.stdin, words[1], maxTemplateFile)
	a.stdin = bytes.NewReader(text)
	return args, err
}

func templateSet(ctx context.Context, c *call) error {
	t, err := c.templateFlags()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(c.stdin)
	if err != nil {
		return err
	}
	t.Text = string(text)
	if err := t.Check(); err != nil {
		return err
	}
	if _, problems := tryTemplate(t); len(problems) > 0 {
		return problems
	}
	if err := c.server.Sites().SetTemplate(ctx, t); err != nil {
		return err
	}
	stored, err := c.server.Sites().Template(ctx, t.Site)
	if err != nil {
		return err
	}
	stored.Text = ""
	return c.print(stored, "template %s: %s, %s, %d octets\n", cmp.Or(t.Site, "default"), t.Name, t.Syntax, stored.Size)
}

func templateList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListTemplates(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no templates: the records are compiled from what is in force", "SITE\tNAME\tSYNTAX\tSIZE\tCHANGED", func(t sites.Template) []any {
		return []any{cmp.Or(t.Site, "default"), t.Name, t.Syntax, t.Size, t.Changed.Format(time.RFC3339)}
	})
}

func templateShow(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	t, err := c.server.Sites().Template(ctx, templateSite(words[0]))
	if err != nil {
		return err
	}
	return c.print(t, "%s", t.Text)
}

func templateDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveTemplate(ctx, templateSite(words[0])); err != nil {
		return err
	}
	return c.print(map[string]string{"site": templateSite(words[0])}, "template %s deleted\n", words[0])
}

// exampleSubdomains are the names below its zone that a template is tried with.
func exampleSubdomains() []string { return []string{"", "sub"} }

// tryTemplate renders a template with data of an example, for a domain that is its zone
// and for one below it.
func tryTemplate(t sites.Template) (zones []dnstmpl.Zone, problems dnstmpl.Problems) {
	parsed, err := t.Parse()
	if err != nil {
		return nil, problemsIn(err)
	}
	for _, subdomain := range exampleSubdomains() {
		data := exampleData()
		data.Subdomain = subdomain
		zone, err := parsed.Render(data)
		if err != nil {
			return nil, problemsIn(err)
		}
		zones = append(zones, zone)
	}
	return zones, nil
}

func problemsIn(err error) dnstmpl.Problems {
	if several, ok := errors.AsType[dnstmpl.Problems](err); ok {
		return several
	}
	return dnstmpl.Problems{{Text: err.Error()}}
}
