package dnstmpl

import (
	"errors"
	"fmt"
	"maps"

	"github.com/panelmail/panelmail/internal/blade"
)

// ParseBlade reads a template in the part of Laravel's Blade that ApisCP's mail
// templates are written in. It is interpreted here: no PHP is run, and a function
// that is not in the list of [BladeFunctions] is an error, as is any other part of
// Blade or PHP. The error is Problems, which name the template by name.
//
//	{{-- … --}}  {!! e !!}  {{ e }}  @{{ … }}  @if @elseif @else @endif  @unless
//	@isset @empty  @foreach(e as $v) @endforeach  @forelse  @break @continue
//	@php … @endphp  @php(e)  @verbatim
//
// Line ends are kept and eaten as Blade does: one right behind a directive is
// gone, one behind an echo or a comment is not. {{ e }} escapes what means
// something in HTML, which is seldom right in a TXT record: write {!! e !!} there.
//
// The variables are ApisCP's $zone, $subdomain, $ttl, $ips and $svc, whose
// getServiceValue('section', 'name') is the entry "section.name" of Data.Vars;
// the entries of Data.Vars by their own names; and the other fields of Data:
// $domain, $hostname, $egress, $networks, $dmarc, $mtasts, $policyhost, $tlsrpt and
// $autoconfig, with $mx (each with 'host' and 'preference'), $spf ('name', 'text':
// [Data.SPFRecords]), $relays ('host', 'include'), $dkim ('name', 'text', 'target',
// 'pending') and $services ('name', 'priority', 'weight', 'port', 'target').
func ParseBlade(name, text string) (*Template, error) {
	if err := checkSource(name, text); err != nil {
		return nil, err
	}
	t, err := blade.Parse(text)
	if err != nil {
		return nil, (&Template{name: name}).named(asProblems(bladeProblem(err)))
	}
	return &Template{name: name, body: bladeBody{t}}, nil
}

// BladeFunctions are the names of the PHP functions that a template for [ParseBlade]
// may call, sorted.
func BladeFunctions() []string { return blade.Functions() }

type bladeBody struct{ template *blade.Template }

// execute implements body.
func (b bladeBody) execute(out *output, d Data) error {
	return bladeProblem(b.template.Render(bladeVars(d), func(w blade.Written) error {
		at := place{w.Line, w.Column}
		if w.Literal {
			return out.literal(at, []byte(w.Text))
		}
		return out.value(at, []byte(w.Text))
	}))
}

// bladeProblem makes a problem of an error of the interpreter.
func bladeProblem(err error) error {
	var e *blade.Error
	if !errors.As(err, &e) {
		return err
	}
	p := Problem{Line: e.Line, Column: e.Column, Rule: RuleSyntax, Text: e.Text, Fix: e.Fix}
	if e.Limit {
		p.Rule = RuleLimit
	}
	return p
}

// bladeVars are data as variables.
func bladeVars(d Data) map[string]any {
	vars := map[string]any{}
	for name, value := range d.Vars {
		vars[name] = value
	}
	maps.Copy(vars, map[string]any{
		"zone": d.Zone, "subdomain": d.Subdomain, "ttl": int(d.TTL), "ips": texts(d.IPs),
		"svc": blade.Object{"getServiceValue": d.serviceValue},

		"domain": d.Domain(), "hostname": d.Hostname, "egress": texts(d.Egress), "networks": texts(d.Networks),
		"dmarc": d.DMARC, "mtasts": d.MTASTS, "policyhost": d.PolicyHost, "tlsrpt": d.TLSRPT, "autoconfig": d.Autoconfig,
		"mx": each(d.MX, func(x Exchanger) map[string]any {
			return map[string]any{"host": x.Host, "preference": int(x.Preference)}
		}),
		"spf": each(d.SPFRecords(), func(t Text) map[string]any {
			return map[string]any{"name": t.Name, "text": t.Text}
		}),
		"relays": each(d.Relays, func(r Relay) map[string]any {
			return map[string]any{"host": r.Host, "include": r.Include}
		}),
		"dkim": each(d.DKIM, func(k DKIM) map[string]any {
			return map[string]any{"name": k.Name, "text": k.Text, "target": k.Target, "pending": k.Pending}
		}),
		"services": each(d.Services, func(s Service) map[string]any {
			return map[string]any{
				"name": s.Name, "priority": int(s.Priority), "weight": int(s.Weight), "port": int(s.Port), "target": s.Target,
			}
		}),
	})
	return vars
}

// serviceValue is $svc->getServiceValue of a section and a name, or what is given
// for one that is not there.
func (d Data) serviceValue(args []string) (string, error) {
	if len(args) < 2 || len(args) > 3 {
		return "", fmt.Errorf("getServiceValue() takes a section, a name and perhaps a default")
	}
	name := args[0] + "." + args[1]
	value, ok := d.Vars[name]
	switch {
	case ok:
		return value, nil
	case len(args) == 3:
		return args[2], nil
	}
	return "", fmt.Errorf("there is no service value %q", name)
}

func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}

func each[T any](values []T, convert func(T) map[string]any) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = convert(v)
	}
	return out
}
