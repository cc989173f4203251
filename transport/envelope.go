package transport

// An Envelope is what SMTP carries outside the message: RFC 5321 section
// 2.3.1, with the parameters of RFC 1870, 3461, 6152, 6531 and 8689.
type Envelope struct {
	ReversePath string      // where bounces go; "" is the null reverse-path <>
	Recipients  []Recipient // at least one in a stored message
	SMTPUTF8    bool        // the SMTPUTF8 parameter of MAIL (RFC 6531)
	Body        Body        // the BODY parameter of MAIL
	Ret         Ret         // the RET parameter of MAIL
	EnvID       string      // the ENVID parameter of MAIL, xtext decoded
	RequireTLS  bool        // the REQUIRETLS parameter of MAIL (RFC 8689)
	TLSOptional bool        // "TLS-Required: no" in the header of the message (RFC 8689 section 5); without RequireTLS
}

// A Recipient is a forward-path with what belongs to it alone.
type Recipient struct {
	// Address is local-part@domain as on the wire, without the angle
	// brackets; a local-part that is no dot-atom is quoted.
	Address string

	// ReversePath replaces the envelope's in the transaction for this
	// recipient; "" means the envelope's. Forwarded copies carry their SRS
	// address here. Bounces go to the envelope's.
	ReversePath string

	Notify Notify // the NOTIFY parameter of RCPT
	ORcpt  string // the ORCPT parameter of RCPT, "type;address", xtext decoded
}

// Body is the BODY parameter of MAIL (RFC 6152); empty if not given.
type Body string

// The values of [Body].
const (
	Body7Bit     Body = "7BIT"
	Body8BitMIME Body = "8BITMIME"
)

// Ret is the RET parameter of MAIL (RFC 3461 section 4.3); empty if not given.
type Ret string

// The values of [Ret].
const (
	RetFull Ret = "FULL"
	RetHdrs Ret = "HDRS"
)

// Notify is the NOTIFY parameter of RCPT (RFC 3461 section 4.1), a set. Zero
// means that none was given: failure and delay are reported.
type Notify uint8

// The members of [Notify]. NotifyNever stands alone.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// Failure reports whether the sender wants to hear of a failure.
func (n Notify) Failure() bool { return n == 0 || n&NotifyFailure != 0 }

// Delay reports whether the sender wants to hear of a delay.
func (n Notify) Delay() bool { return n == 0 || n&NotifyDelay != 0 }

// Success reports whether the sender asked to hear of a delivery.
func (n Notify) Success() bool { return n&NotifySuccess != 0 }

// An Origin says who handed a message in, and how. What the kernel or a
// password attests stands beside what was only claimed.
type Origin struct {
	Site   string // the site that answers for the message; "" is the panel itself
	Login  string // the login that authenticated, if any
	Via    Via    // the way in
	Client string // address of the SMTP client, without brackets or port
	HELO   string // what the client called itself
	UID    int    // the kernel's word for the sendmail socket; -1 elsewhere
	PID    int    // claimed: the process
	Script string // claimed: the script that called mail()
}

// Via is a way in.
type Via string

// The ways in.
const (
	ViaAPI      Via = "api"
	ViaSMTP     Via = "smtp"
	ViaSendmail Via = "sendmail"
	ViaForward  Via = "forward"
	ViaBounce   Via = "bounce"
)
