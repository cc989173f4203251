package queue

import (
	"database/sql"
	"encoding/json"
	"strings"
	"time"
)

// where is a condition in SQL.
type where struct {
	terms []string
	args  []any
}

func (w *where) and(term string, args ...any) {
	w.terms = append(w.terms, term)
	w.args = append(w.args, args...)
}

func (w *where) String() string { return strings.Join(w.terms, " AND ") }

// A selection is a condition on a message m and on a recipient r of it. It is in
// two parts because the cost lies in the order in which they are looked at: in a
// long queue a few microseconds for each message are too many.
type selection struct {
	message, recipient where
	indexed            bool // the part about the message has an index
	narrow             bool // the part about the recipient leaves few
}

func everything() (s selection) {
	s.recipient.and(`r.state < 3`)
	return s
}

func (s *selection) site(site string) {
	s.message.and(`m.site = ?`, site)
	s.indexed = true
}

// sender takes "<>" for the null reverse-path.
func (s *selection) sender(address string) {
	if address == nullSender {
		address = ""
	}
	s.message.and(`m.reverse_path = ? COLLATE NOCASE`, address)
}

func (s *selection) domain(domain string) {
	s.recipient.and(`r.address LIKE '%@' || ? ESCAPE '\'`, escapeLike(domain))
	s.narrow = true
}

// selection writes a match in SQL.
func (m Match) selection(now time.Time) (selection, error) {
	s := everything()
	if m.empty() {
		s.message.and(`FALSE`)
	}
	if len(m.IDs) > 0 {
		list, err := json.Marshal(m.IDs)
		if err != nil {
			return s, err
		}
		s.message.and(`m.queue_id IN (SELECT value FROM json_each(?))`, string(list))
		s.indexed = true
	}
	if m.Site != "" {
		s.site(m.Site)
	}
	if m.Sender != "" {
		s.sender(m.Sender)
	}
	if m.OlderThan > 0 {
		s.message.and(`m.arrived < ?`, micros(now.Add(-m.OlderThan)))
	}
	if m.Recipient != "" {
		s.recipient.and(`r.address = ? COLLATE NOCASE`, m.Recipient)
	}
	if m.Domain != "" {
		s.domain(m.Domain)
	}
	if m.State != nil {
		s.recipient.and(`r.state = ?`, int(*m.State))
	}
	if m.Untried {
		s.recipient.and(`r.attempts = 0`)
	}
	if m.Tried {
		s.recipient.and(`r.attempts > 0`)
	}
	s.narrow = m.Recipient != "" || m.Domain != "" || m.State != nil || m.Untried || m.Tried
	return s, nil
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// numbers is a query for the numbers of the messages after one, in order; with a
// negative limit, of all.
func (s *selection) numbers(after int64, limit int) (query string, args []any) {
	message, recipient := s.message, s.recipient
	if !s.indexed && (s.narrow || len(message.terms) == 0) {
		recipient.and(`r.message > ?`, after)
		query = `SELECT DISTINCT r.message FROM panelmail_recipient AS r`
		if len(message.terms) > 0 {
			query += ` CROSS JOIN panelmail_message AS m ON m.id = r.message AND ` + message.String()
		}
		query += ` WHERE ` + recipient.String() + ` ORDER BY r.message LIMIT ?`
		return query, append(append(message.args, recipient.args...), limit)
	}
	message.and(`m.id > ?`, after)
	query = `SELECT m.id FROM panelmail_message AS m WHERE ` + message.String() + `
AND EXISTS (SELECT 1 FROM panelmail_recipient AS r WHERE r.message = m.id AND ` + recipient.String() + `)
ORDER BY m.id LIMIT ?`
	return query, append(append(message.args, recipient.args...), limit)
}

// among is the selection's recipients of certain messages after a place, in
// order: the tail of a query, whatever that returns.
func (s *selection) among(messages []int64, after place, limit int) (tail string, args []any, err error) {
	list, err := json.Marshal(messages)
	if err != nil {
		return "", nil, err
	}
	tail = `
FROM json_each(?) AS j
	CROSS JOIN panelmail_message AS m ON m.id = j.value
	CROSS JOIN panelmail_recipient AS r ON r.message = m.id
WHERE (r.message, r.position) > (?, ?) AND ` + s.recipient.String()
	args = append([]any{string(list), after.message, after.position}, s.recipient.args...)
	if len(s.message.terms) > 0 {
		tail += ` AND ` + s.message.String()
		args = append(args, s.message.args...)
	}
	return tail + ` ORDER BY r.message, r.position LIMIT ?`, append(args, limit), nil
}

// numbersIn runs the query of [selection.numbers].
func numbersIn(tx *sql.Tx, s selection, after int64, limit int) ([]int64, error) {
	query, args := s.numbers(after, limit)
	return column[int64](tx.Query(query, args...))
}
