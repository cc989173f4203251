package dkim

// Why a message is not signed or not verified; matched with errors.Is. The message
// is at fault, and a later attempt will end the same way. Each has a method
//
//	SMTPReply() (code int, enhanced [3]int, text string)
//
// that gives the reply for an SMTP client; the text says nothing of the message.
var (
	ErrHeaderTooLarge error = &refusal{552, [3]int{5, 3, 4}, "message header too large"}
	ErrTooManyFields  error = &refusal{552, [3]int{5, 3, 4}, "too many header fields"}
	ErrMalformed      error = &refusal{554, [3]int{5, 6, 0}, "malformed message header"}
	ErrNoFrom         error = &refusal{554, [3]int{5, 6, 0}, "message has no From field"}
	ErrManyFrom       error = &refusal{554, [3]int{5, 6, 0}, "message has more than one From field"}
	ErrRepeated       error = &refusal{554, [3]int{5, 6, 0}, "header fields repeated too often"}
	ErrLineEnds       error = &refusal{554, [3]int{5, 6, 0}, "message has a bare CR or NUL"}
	ErrBlankLines     error = &refusal{554, [3]int{5, 6, 0}, "too many blank lines in a row"}
)

// A refusal is an error with the reply it makes.
type refusal struct {
	code     int
	enhanced [3]int // RFC 3463
	text     string
}

func (r *refusal) Error() string { return "dkim: " + r.text }

// SMTPReply is the reply for the client that submits the message.
func (r *refusal) SMTPReply() (code int, enhanced [3]int, text string) {
	return r.code, r.enhanced, r.text
}
