"""Texts that storage gets wrong first."""

NASTY = "'\"\\ \t%s $1 :x {} {a,b} NULL \\N \\x41 --; 𝔘𝔫𝔦 👩‍👩‍👧 é ﷽ \u202e\ufeff\U0010ffff"
NASTY_LINES = f"{NASTY}\r\n\n{NASTY}\n"
NASTY_TAGS = ("a,b", '"quoted"', "{braces}", "back\\slash", "NULL", "née", "日本", "a b", "👍", "%", "_")
