package render_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/projection/render"
)

// TestNoTemplateBurnsMemoryOrTime renders what would take gigabytes or minutes if results that are kept in variables, or
// text/template's own functions, were not paid for. Each is refused soon, and little memory was needed.
func TestNoTemplateBurnsMemoryOrTime(t *testing.T) {
	doubling := func(step string) string {
		return `{{ $x := .current }}` + strings.Repeat(`{{ $x = `+step+` }}`, 40) + "ok"
	}
	big := `{{ $x := .current }}` + strings.Repeat(`{{ $x = replace "a" "aa" $x }}`, 4)
	for name, text := range map[string]string{
		"print doubles":                doubling(`print $x $x`),
		"println doubles":              doubling(`println $x $x`),
		"printf doubles":               doubling(`printf "%s%s" $x $x`),
		"printf quotes again":          doubling(`printf "%q" $x`),
		"printf in hexadecimal":        doubling(`printf "%x" $x`),
		"html grows":                   doubling(`html $x "<<<<<<<<"`),
		"js grows":                     doubling(`js $x "<<<<<<<<"`),
		"urlquery grows":               doubling(`urlquery $x "%%%%%%%%"`),
		"many arguments":               big + `{{ $y := print ` + strings.Repeat("$x ", 2000) + ` }}`,
		"many arguments of printf":     big + `{{ $y := printf "` + strings.Repeat("%s", 1000) + `" ` + strings.Repeat("$x ", 1000) + ` }}`,
		"many lists":                   `{{ $l := replace "a" "[0,0],[0,0]," .current }}` + strings.Repeat(`{{ $y := fromJson (print "[" $l "0]") }}`, 30),
		"a list, printed many times":   `{{ $l := fromJson (print "[" (replace "a" "0," .current) "0]") }}` + strings.Repeat(`{{ $y := print $l }}`, 200),
		"a list, encoded many times":   `{{ $l := fromJson (print "[" (replace "a" "0," .current) "0]") }}` + strings.Repeat(`{{ $y := toJson $l }}`, 200),
		"a list, joined many times":    `{{ $l := splitList "a" .current }}` + strings.Repeat(`{{ $y := join "bbbbbbbbbbbbbbbb" $l }}`, 200),
		"a digest in a loop in a loop": big + `{{ $l := splitList "a" .current }}{{ range $l }}{{ range $l }}{{ $y := sha256sum $x }}{{ end }}{{ end }}`,
		"comparisons of long texts":    big + `{{ $l := splitList "a" .current }}{{ range $l }}` + strings.Repeat(`{{ $y := eq $x $x }}`, 400) + `{{ end }}`,
		"orders of long texts":         big + `{{ $l := splitList "a" .current }}{{ range $l }}` + strings.Repeat(`{{ $y := lt $x $x }}`, 400) + `{{ end }}`,
		"sums of long texts":           big + `{{ $l := splitList "a" .current }}{{ range $l }}{{ $y := sha256sum $x }}{{ end }}`,
		"a heavy round, many a time":   `{{ $l := splitList "a" .current }}{{ range $l }}` + strings.Repeat(`{{ if $l }}{{ end }}`, 600) + `{{ end }}`,
		"a list of empty texts":        `{{ $l := splitList "a" .current }}` + strings.Repeat(`{{ $y := print $l }}`, 400),
		"members sorted many times":    `{{ $o := fromJson (print "{" (replace "a" "" .current) "}") }}{{ $l := splitList "a" .current }}{{ range $l }}` + strings.Repeat(`{{ range $o }}{{ break }}{{ end }}`, 40) + `{{ end }}`,
		"loops that pay for no round":  `{{ $l := splitList "a" .current }}{{ range $l }}{{ range $l }}{{ continue }}{{ end }}{{ end }}`,
	} {
		t.Run(name, func(t *testing.T) {
			value := render.Value{Current: secretbytes.Copy([]byte(strings.Repeat("a", 1<<14)))}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			_, err := render.Data(map[string]string{"k": text}, value)
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			if !refusal(err, "too much work") && !refusal(err, "1 MiB") {
				t.Errorf("not refused: %v", err)
			}
			if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 64 {
				t.Errorf("%d MiB were allocated", made)
			}
			if took > 10*time.Second { // it takes milliseconds; this machine may be busy
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestATemplateCannotTouchItsBudget(t *testing.T) {
	value := render.Value{Current: secretbytes.Copy([]byte(`{"a":["x","y"],"o":{"k":1},"n":9000000000}`))}
	for _, text := range []string{
		`{{ _spend -9000000000000000000 }}`, `{{ if true }}{{ _spend 1 }}{{ end }}`, `{{ print (_spend 1) }}`, `{{ (_spend 1).x }}`,
		`{{ .a | _over }}`, `{{ range .a }}{{ _spend -100 }}{{ end }}`, `{{ $x := _over .a }}`, `{{ with _over .a }}{{ end }}`,
	} {
		if err := render.Validate(map[string]string{"k": text}); !refusal(err, "underscore") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{`{{ range .n }}{{ end }}`, `{{ $n := 9000000000 }}{{ range $n }}{{ end }}`, `{{ range .current }}{{ end }}`} {
		if _, err := render.Data(map[string]string{"k": text}, value); !refusal(err, "lists and objects alone") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`{{ range .a }}{{ . }},{{ end }}`: "x,y,", `{{ range $i, $x := .a }}{{ $i }}{{ $x }}{{ end }}`: "0x1y", `{{ range $k, $v := .o }}{{ $k }}{{ end }}`: "k",
		`{{ range .a }}{{ else }}none{{ end }}`: "", `{{ range $x := .a }}{{ range $.a }}{{ $x }}{{ . }} {{ end }}{{ end }}`: "xx xy yx yy ",
	} {
		data, err := render.Data(map[string]string{"k": text}, value)
		if err != nil || string(data["k"].Reveal()) != want {
			t.Errorf("%s: %q, %v", text, data["k"].Reveal(), err)
		}
	}
}

// TestComparisons: the functions that replace text/template's own agree with them wherever those have an answer.
func TestComparisons(t *testing.T) {
	value := render.Value{Current: secretbytes.Copy([]byte(`{"n":10,"m":9,"s":"b","t":true,"z":null}`))}
	for text, want := range map[string]string{
		`{{ eq .s "b" }}`: "true", `{{ eq .s "a" "b" }}`: "true", `{{ eq .s "a" }}`: "false", `{{ ne .s "a" }}`: "true",
		`{{ lt .m .n }}`: "true", `{{ lt .n 9 }}`: "false", `{{ le .n 10 }}`: "true", `{{ gt .n 9.5 }}`: "true", `{{ ge .m .n }}`: "false",
		`{{ lt "a" .s }}`: "true", `{{ ge "b" .s }}`: "true", `{{ eq .t true }}`: "true", `{{ ne .t true }}`: "false",
		`{{ eq .n 10 }}`: "true", `{{ eq .z nil }}`: "true", `{{ eq (len .s) 1 }}`: "true", `{{ if and (eq .s "b") (not (eq .s "c")) }}y{{ end }}`: "y",
		`{{ eq .s 1 }}`: "", `{{ lt .t false }}`: "", `{{ eq .s }}`: "",
	} {
		data, err := render.Data(map[string]string{"k": text}, value)
		got := ""
		if err == nil {
			got = string(data["k"].Reveal())
		}
		if got != want || (want == "") != (err != nil) {
			t.Errorf("%s is %q, not %q: %v", text, got, want, err)
		}
	}
	for text, want := range map[string]string{
		`{{ print "a" 1 .s }}`:                "a1b",
		`{{ println .s }}`:                    "b\n",
		`{{ printf "%05.1f|%-4s|" 1.25 .s }}`: fmt.Sprintf("%05.1f|%-4s|", 1.25, "b"),
		`{{ html "<a>" }}`:                    "&lt;a&gt;",
		`{{ js "'" }}`:                        `\'`,
		`{{ urlquery "a b&" }}`:               "a+b%26",
	} {
		data, err := render.Data(map[string]string{"k": text}, value)
		if err != nil || string(data["k"].Reveal()) != want {
			t.Errorf("%s: %q, %v", text, data["k"].Reveal(), err)
		}
	}
}
