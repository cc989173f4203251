package dnstmpl

import (
	"context"
	"slices"
)

// SPFFaults reports for which reasons the SPF records of a zone count for nothing at
// receivers, because their evaluation ends in a permanent error (RFC 7208 section 2.6.7):
// a record that is not in the form, an included one that is not there, too many look-ups.
// It is a part of what [Zone.Lint] reports, and asks r in the same way; what r has no
// answer about is no fault.
func (z Zone) SPFFaults(ctx context.Context, r Resolver) Problems {
	l := &linter{ctx: ctx, world: world{zone: z, resolver: r}}
	for _, rec := range z.Records {
		v, ok := rec.Value.(TXT)
		if !ok || textKind(rec.Name, v.Text) != "SPF" {
			continue
		}
		terms, err := parseSPF(v.Text)
		switch {
		case err != nil:
			l.noSPF(rec, err)
		case !l.helps(rec):
			l.evaluation(rec, terms)
		}
	}
	return slices.DeleteFunc(l.problems, func(p Problem) bool { return p.Rule == RuleNoAnswer })
}
