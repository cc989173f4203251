package blade_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/interop"
)

// oracle evaluates expressions in PHP, with warnings as errors, as Laravel has
// them. It reads {"vars": …, "code": […]} and writes a dump a line, an
// empty one for an error. Some errors end it.
const oracle = `
set_error_handler(function ($level, $text) {
	if ($level & (E_DEPRECATED | E_USER_DEPRECATED)) return true;
	throw new ErrorException($text);
});
function e($value) { return htmlspecialchars($value ?? '', ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8'); }
function dump($v) {
	if ($v === null) return 'null';
	if (is_bool($v)) return 'bool:' . ($v ? 'true' : 'false');
	if (is_int($v)) return 'int:' . $v;
	if (is_float($v)) return is_nan($v) ? 'float:NAN' : 'float:' . bin2hex(pack('E', $v));
	if (is_string($v)) return 'string:' . bin2hex($v);
	$parts = [];
	foreach ($v as $k => $inner) $parts[] = dump($k) . '=>' . dump($inner);
	return 'array:[' . implode(',', $parts) . ']';
}
function evaluate($__code, $__vars) {
	extract($__vars);
	return eval('return ' . $__code . ';');
}
$in = json_decode(stream_get_contents(STDIN), true);
ini_set('display_errors', '0');
foreach ($in['code'] as $code) {
	try { $out = dump(evaluate($code, $in['vars'])); } catch (Throwable $e) { $out = ''; }
	echo $out, "\n";
}
`

// ask evaluates expressions in PHP and gives their dumps, "" for an error.
func ask(t *testing.T, vars map[string]any, code []string) []string {
	t.Helper()
	php := interop.Need(t, "php")
	if version, err := exec.Command(php, "-r", "echo PHP_VERSION;").Output(); err != nil || !strings.HasPrefix(string(version), "8.2.") {
		t.Skipf("php is %s (%v); the interpreter follows 8.2", version, err)
	}
	var answers []string
	for len(answers) < len(code) {
		in, err := json.Marshal(map[string]any{"vars": vars, "code": code[len(answers):]})
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command(php, "-r", oracle)
		command.Stdin = bytes.NewReader(in)
		out, err := command.Output()
		lines := strings.Split(string(out), "\n")
		answers = append(answers, lines[:len(lines)-1]...)
		if len(answers) < len(code) {
			if err == nil {
				t.Fatal("php ended without an error")
			}
			answers = append(answers, "") // the expression that ended it
		}
	}
	return answers
}
