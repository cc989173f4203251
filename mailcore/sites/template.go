package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/panelmail/panelmail/dnstmpl"
)

// A TemplateSyntax is the language of a [Template].
type TemplateSyntax string

// The languages of package dnstmpl.
const (
	GoTemplate    TemplateSyntax = "go"    // dnstmpl.Parse
	BladeTemplate TemplateSyntax = "blade" // dnstmpl.ParseBlade
)

// maxTemplate is the size of a template in octets, which is beyond any that people write.
const maxTemplate = 256 << 10

// A Template makes the DNS records of a site's domains in place of those that are
// compiled.
type Template struct {
	Site   string         `json:"site,omitempty"` // empty: the default, for sites that have none
	Name   string         `json:"name"`           // of the file, for messages; at most 255 octets
	Syntax TemplateSyntax `json:"syntax"`
	Text   string         `json:"text,omitempty"` // at most 256 KiB of UTF-8; in lists empty

	Size    int       `json:"size"`    // of the text, octets; set by what reads
	Changed time.Time `json:"changed"` // when it was stored, to the second; set by what reads
}

// SyntaxOf is the language that the name of a file says: that of ApisCP's templates,
// such as email.blade.php, or else that of text/template.
func SyntaxOf(file string) TemplateSyntax {
	if strings.Contains(strings.ToLower(filepath.Base(file)), ".blade") {
		return BladeTemplate
	}
	return GoTemplate
}

// Check reports what is wrong with a template, but for whether its site exists and
// whether its text can be parsed.
func (t Template) Check() error {
	kind, who := "template of site", t.Site
	if t.Site == "" {
		kind, who = "template", "default"
	}
	switch {
	case t.Syntax != GoTemplate && t.Syntax != BladeTemplate:
		return invalid(kind, who, "syntax %q: want %s or %s", t.Syntax, GoTemplate, BladeTemplate)
	case t.Name == "" || len(t.Name) > 255 || hasControls(t.Name):
		return invalid(kind, who, "its name is empty, too long, or has control characters")
	case t.Text == "":
		return invalid(kind, who, "it is empty")
	case len(t.Text) > maxTemplate:
		return invalid(kind, who, "%d octets, and a template has at most %d", len(t.Text), maxTemplate)
	case !utf8.ValidString(t.Text):
		return invalid(kind, who, "it is not UTF-8")
	}
	return nil
}

// Parse parses the text. Errors are dnstmpl.Problems, with the name of the template.
func (t Template) Parse() (*dnstmpl.Template, error) {
	if t.Syntax == BladeTemplate {
		return dnstmpl.ParseBlade(t.Name, t.Text)
	}
	return dnstmpl.Parse(t.Name, t.Text)
}

// SetTemplate stores the template of a site, or the default, in place of the one
// before. One that cannot be parsed is refused with the errors of [Template.Parse].
func (s *Sites) SetTemplate(ctx context.Context, t Template) error {
	if err := t.Check(); err != nil {
		return err
	}
	if _, err := t.Parse(); err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if t.Site != "" {
			if err := mustHaveSite(tx, t.Site); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`
			INSERT INTO panelmail_template (site, name, syntax, text, changed) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (site) DO UPDATE
			SET name = excluded.name, syntax = excluded.syntax, text = excluded.text, changed = excluded.changed`,
			t.Site, t.Name, t.Syntax, t.Text, time.Now().Truncate(time.Second).UnixMicro())
		return err
	})
}

// RemoveTemplate removes the template of a site, or the default if site is "".
func (s *Sites) RemoveTemplate(ctx context.Context, site string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_template WHERE site = ?`, site)
		return affected(r, err, noTemplate(site))
	})
}

// Template returns the template of a site itself, or the default if site is "".
func (s *Sites) Template(ctx context.Context, site string) (Template, error) {
	t, ok, err := s.template(ctx, `SELECT site, name, syntax, text, length(CAST(text AS BLOB)), changed
		FROM panelmail_template WHERE site = ?`, site)
	if err == nil && !ok {
		err = noTemplate(site)
	}
	return t, err
}

// TemplateFor returns the template in force for a site: its own, or else the default.
// ok is false if there is neither.
func (s *Sites) TemplateFor(ctx context.Context, site string) (t Template, ok bool, err error) {
	return s.template(ctx, `SELECT site, name, syntax, text, length(CAST(text AS BLOB)), changed
		FROM panelmail_template WHERE site IN (?, '') ORDER BY site DESC LIMIT 1`, site)
}

func (s *Sites) template(ctx context.Context, query, site string) (t Template, ok bool, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		t, err = scanTemplate(tx.QueryRow(query, site))
		ok = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return Template{}, false, fmt.Errorf("sites: template of site %q: %w", site, err)
	}
	return t, ok, nil
}

// ListTemplates returns the templates in order of their sites, the default first, without
// their texts.
func (s *Sites) ListTemplates(ctx context.Context) (list []Template, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		list = nil
		rows, err := tx.Query(`
			SELECT site, name, syntax, '', length(CAST(text AS BLOB)), changed
			FROM panelmail_template ORDER BY site`)
		return eachRow(rows, err, func() error {
			t, err := scanTemplate(rows)
			if err != nil {
				return err
			}
			list = append(list, t)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("sites: templates: %w", err)
	}
	return list, nil
}

// scanTemplate reads a row.
func scanTemplate(row interface{ Scan(...any) error }) (t Template, err error) {
	var changed int64
	if err := row.Scan(&t.Site, &t.Name, &t.Syntax, &t.Text, &t.Size, &changed); err != nil {
		return Template{}, err
	}
	t.Changed = instant(changed)
	return t, nil
}

func noTemplate(site string) error {
	if site == "" {
		return notFound("template", "default")
	}
	return notFound("template of site", site)
}
