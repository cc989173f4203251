package restrict

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// action reads the right side of a line of an access table.
func (p *parser) action(text string) (entry, error) {
	word, rest, _ := strings.Cut(text, " ")
	upper := strings.ToUpper(word)
	switch upper {
	case "":
		return entry{}, errors.New("no action")
	case "OK":
		return permitting(upper), nil
	case "DUNNO":
		return simple(upper, func(context.Context, *run, aspect) answer { return answer{} }), nil
	case "REJECT":
		return refusing(upper, 554, rest), nil
	case "DEFER":
		return refusing(upper, 450, rest), nil
	case "DEFER_IF_PERMIT":
		return remembering(upper, (*run).deferLater, rest), nil
	case "DEFER_IF_REJECT":
		return remembering(upper, (*run).deferInstead, rest), nil
	case "WARN", "INFO":
		return simple(upper, func(ctx context.Context, r *run, what aspect) answer {
			r.note("%s of an access table: <%s>: %s: %s", strings.ToLower(upper), r.subject(ctx, what), what.class(), rest)
			return answer{}
		}), nil
	case "DISCARD", "FILTER", "HOLD", "REDIRECT", "BCC", "PREPEND", "STRIP", "RELAY":
		return entry{}, fmt.Errorf("the action %s is not supported", upper)
	}
	if code, ok := replyCode(word); ok {
		if strings.TrimSpace(rest) == "" {
			return entry{}, fmt.Errorf("%s has no text: write REJECT, DEFER, or a text behind it", word)
		}
		return refusing(word, code, rest), nil
	}
	if strings.Trim(text, "0123456789") == "" {
		return permitting("OK"), nil
	}
	list, err := p.list(text)
	if err != nil {
		return entry{}, fmt.Errorf("neither an action nor restrictions: %w", err)
	}
	e := simple("", func(ctx context.Context, r *run, _ aspect) answer {
		a := r.list(ctx, list)
		a.table = a.outcome == permitted
		return a
	})
	e.list = list
	return e, nil
}

func simple(word string, apply func(context.Context, *run, aspect) answer) entry {
	return entry{word: word, apply: apply}
}

func permitting(word string) entry {
	return simple(word, func(context.Context, *run, aspect) answer { return answer{outcome: permitted, table: true} })
}

// refusing is an action that refuses with a text, which may begin with an enhanced code.
func refusing(word string, code int, text string) entry {
	status, text := splitStatus(code, text, "5.7.1", "Access denied")
	return simple(word, func(ctx context.Context, r *run, what aspect) answer {
		return r.refuse(ctx, what, code, status, text)
	})
}

func remembering(word string, remember func(*run, Reply) answer, text string) entry {
	status, text := splitStatus(450, text, "4.7.1", "Service unavailable")
	return simple(word, func(ctx context.Context, r *run, what aspect) answer {
		return remember(r, r.rejected(ctx, what, 450, status, text))
	})
}

// replyCode reads a reply code of class 4 or 5.
func replyCode(word string) (code int, ok bool) {
	if len(word) != 3 || word[0] != '4' && word[0] != '5' || strings.Trim(word, "0123456789") != "" {
		return 0, false
	}
	return int(word[0]-'0')*100 + int(word[1]-'0')*10 + int(word[2]-'0'), true
}
