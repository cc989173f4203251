package blade

// An expr is an expression of a template. Its place is that of the operator or
// name that a message about it should point to.
type expr interface {
	eval(m *machine) (value, error)
	place() int
}

// An at is the place of an expression.
type at int

func (a at) place() int { return int(a) }

// The expressions.
type (
	literal struct {
		at
		value value
	}

	// A filled string is a string in double quotes with expressions in it.
	filled struct {
		at
		parts []expr
	}

	variable struct {
		at
		name string
	}

	// An element is an entry of an array, or an octet of a string. The key is
	// nil for a[], which can only be assigned.
	element struct {
		at
		base expr
		key  expr
	}

	property struct {
		at
		base expr
		name string
	}

	methodCall struct {
		at
		base expr
		name string
		args []expr
	}

	call struct {
		at
		name string
		fn   function
		args []expr
	}

	// An arrow is fn(…) => body.
	arrow struct {
		at
		params []string
		body   expr
	}

	// An arrayLiteral is […]; the key of an item may be nil.
	arrayLiteral struct {
		at
		items []item
	}

	item struct {
		key   expr
		value expr
	}

	unary struct {
		at
		op string
		x  expr
	}

	cast struct {
		at
		to string
		x  expr
	}

	binary struct {
		at
		op   string
		x, y expr
	}

	// A logical is an operator that does not evaluate its right side if the
	// left one decides.
	logical struct {
		at
		op   string
		x, y expr
	}

	// A coalesce is x ?? y.
	coalesce struct {
		at
		x, y expr
	}

	// A ternary is x ? y : z; y is nil for x ?: z.
	ternary struct {
		at
		x, y, z expr
	}

	// An assignment; op is "" for =, "+" for +=, "??" for ??=.
	assignment struct {
		at
		target expr
		op     string
		x      expr
	}

	// An increment is ++ or --, before or behind a variable.
	increment struct {
		at
		target expr
		by     int64
		before bool
	}

	// An isset is isset(…), and empty is !isset or no truth.
	isset struct {
		at
		of []expr
	}

	empty struct {
		at
		of expr
	}
)
