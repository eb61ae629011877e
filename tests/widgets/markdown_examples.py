"""Markdown by the sections of the CommonMark specification, and of what is understood beyond it. Texts, no expectations."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "tabs": (
        "\talpha\tbeta\tgamma", "  \talpha\tbeta", "- alpha\n\n\tbeta", "- alpha\n\n\t\tbeta", ">\t\talpha", "-\t\talpha",
        "    alpha\n\tbeta", " - alpha\n   - beta\n\t - gamma", "#\tAlpha", "*\t*\t*\t", "  ```\n\talpha\n  ```",
        "   ```\n\t- alpha\n  \tbeta", "1.\talpha\n2.\tbeta",
    ),
    "backslashes": (
        "\\!\\\"\\#\\$\\%\\&\\'\\(\\)\\*\\+\\,\\-\\.\\/\\:\\;", "\\\talpha \\A \\a \\ \\3 \\φ", "\\*not emphasis\\* \\[not a link](/alpha)",
        "\\\\*emphasis*", "alpha\\\nbeta", "`` \\[\\` ``", "    \\[\\]", "~~~\n\\[\\]\n~~~", "[alpha](/be\\*ta \"ti\\*tle\")",
        "``` alpha\\+beta\ncode\n```", "\\# no heading", "1\\. no list", "\\- no list", "\\`no code\\`", "alpha\\",
    ),
    "entities": (
        "&nbsp; &amp; &copy; &AElig; &Dcaron; &frac34; &HilbertSpace; &ngE;", "&#35; &#1234; &#992; &#0;", "&#X22; &#XD06; &#xcab;",
        "&nbsp &x; &#; &#x; &#87654321; &#abcdef0; &ThisIsNotDefined; &hi?;", "&copy alpha", "`f&ouml;&ouml; alpha`", "    f&ouml;f&ouml;",
        "&#42;alpha&#42;", "&#42; alpha\n\n* beta", "alpha&#10;&#10;beta", "&#9;alpha", "&#27;[31m alpha &#x9b;beta", "&lt;b&gt; alpha",
    ),
    "precedence": ("- `alpha\n- beta`", "> `alpha\n> beta`", "# `alpha\n# beta`", "| `alpha | beta` |\n|---|---|\n"),
    "rules": (
        "***\n---\n___", "+++\nalpha", "===\nalpha", "--\n**\n__", " ***\n  ***\n   ***", "    ***", "alpha\n    ***", "_ _ _ _ a\n\na------",
        "- alpha\n***\n- beta", "alpha\n***\nbeta", "alpha\n---\nbeta", "* alpha\n* * *\n* beta", "- alpha\n- * * *",
    ),
    "headings": (
        "# alpha\n## beta\n### gamma\n#### delta\n##### epsilon\n###### zeta", "####### alpha", "#5 alpha\n\n#tag", "\\## alpha", "# alpha *beta* \\*gamma\\*",
        "#                  alpha                     ", "    # alpha", "alpha\n    # beta", "## alpha ##\n  ###   beta    ###", "# alpha ##################################",
        "### alpha ### b", "# alpha#", "### alpha \\###", "## \n#\n### ###", "alpha\n# beta\ngamma", "alpha *beta*\n=========", "alpha\n-------------------------\nbeta\n=",
        "  alpha *beta\ngamma*\t\n====", "alpha\n= =\n\nbeta\n--- -", "> alpha\n---", "> alpha\nbeta\n===", "- alpha\n---", "alpha\nbeta\n---", "\n====",
        "`alpha\n----\n`", "alpha\\\n----",
    ),
    "indented code": (
        "    alpha\n      beta", "  - alpha\n\n    beta", "1.  alpha\n\n    - beta", "    <a/>\n    *hi*\n\n    - one", "    alpha\n\n    beta\n  \n \n \n    gamma",
        "alpha\n    beta", "    alpha\nbeta", "# alpha\n    beta\nGamma\n------\n    delta\n----", "        alpha\n    beta", "\n    \n    alpha\n    \n", "    alpha  ",
    ),
    "fences": (
        "```\n<\n >\n```", "~~~\n<\n >\n~~~", "``\nalpha\n``", "```\nalpha\n~~~\n```", "````\nalpha\n```\n``````", "~~~~\nalpha\n~~~\n~~~~", "```", "`````\n\n```\nalpha",
        "> ```\n> alpha\n\nbeta", "```\n\n  \n```", "```\n```", " ```\n alpha\nalpha\n```", "   ```\n   alpha\n    alpha\n  alpha\n   ```", "    ```\n    alpha\n    ```",
        "```\nalpha\n  ```", "```\nalpha\n    ```", "``` ```\nalpha", "~~~~~~\nalpha\n~~~ ~~", "alpha\n```\nbeta\n```\ngamma", "alpha\n---\n~~~\nbeta\n~~~\n# gamma",
        "```ruby\ndef alpha(x)\n  return 3\nend\n```", "~~~~    ruby startline=3 $%@#$\nalpha\n~~~~~~~", "````;\n````", "``` aa ```\nalpha", "~~~ aa ``` ~~~\nalpha\n~~~",
        "```\n``` aaa\n```",
    ),
    "html": (
        "<table><tr><td>\n<pre>\n**Hello**,\n\n_world_.\n</pre>\n</td></tr></table>", "<div>\n*alpha*\n\n*beta*", "<think>alpha</think> beta", "<!-- alpha -->\n*beta*",
        "<script>\nalpha();\n</script>\nbeta", "a<b>c</b>", "<a href=\"alpha\">beta</a>", "<33> <__>", "vec<int> and Map<String, List<T>>", "</alpha", "<![CDATA[>&<]]>", "x <y> z < w",
    ),
    "definitions": (
        "[alpha]: /url \"title\"\n\n[alpha]", "   [alpha]: \n      /url  \n           'the title'  \n\n[alpha]", "[Alpha*beta\\]]:my_(url) 'title (with parens)'\n\n[Alpha*beta\\]]",
        "[alpha]: /url 'title\n\nwith blank line'\n\n[alpha]", "[alpha]:\n\n[alpha]", "[alpha]: <>\n\n[alpha]", "[alpha]: <bar>(baz)\n\n[alpha]", "[alpha]\n\n[alpha]: url",
        "[alpha]\n\n[alpha]: first\n[alpha]: second", "[ALPHA]: /url\n\n[Alpha]", "[alpha]: /url \"title\" ok", "    [alpha]: /url \"title\"\n\n[alpha]", "```\n[alpha]: /url\n```\n\n[alpha]",
        "Alpha\n[beta]: /baz\n\n[beta]", "# [Alpha]\n[alpha]: /url\n> beta", "[alpha]: /foo-url \"foo\"\n[beta]: /bar-url\n  \"bar\"\n\n[alpha],\n[beta]", "[alpha]\n\n> [alpha]: /url",
    ),
    "paragraphs": (
        "alpha\n\nbeta", "alpha\nbeta\n\ngamma\ndelta", "alpha\n\n\nbeta", "  alpha\n beta", "alpha\n             beta\n                                       gamma", "    alpha\nbeta",
        "alpha     \nbeta     ", "  \n\nalpha\n  \n\n# beta\n\n  ",
    ),
    "quotes": (
        "> # Alpha\n> beta\n> gamma", "># Alpha\n>beta\n> gamma", "    > # Alpha\n    > beta", "> # Alpha\n> beta\ngamma", "> alpha\ngamma\n> beta", "> alpha\n---", "> - alpha\n- beta",
        ">     alpha\n    beta", "> ```\nalpha\n```", ">", ">\n>  \n> ", ">\n> alpha\n>  ", "> alpha\n\n> beta", "> alpha\n>\n> beta", "alpha\n> beta", "> > > alpha\nbeta",
        ">>> alpha\n> beta\n>>gamma", ">     code\n\n>    not code", "> | a | b |\n> |---|---|\n> | alpha | beta | gamma |",
    ),
    "lists": (
        "1.  A paragraph\n    with two lines.\n\n        indented code\n\n    > A quote.", "- one\n\n two", "- one\n\n  two", " -    one\n\n     two", "   > > 1.  one\n>>\n>>     two", "-one\n\n2.two",
        "- alpha\n\n\n  beta", "- Alpha\n\n      beta\n\n\n      gamma", "123456789. ok", "1234567890. not ok", "0. ok", "-1. not ok", "-\n  alpha\n-\n  ```\n  beta\n  ```", "- alpha\n-\n- beta",
        "*", "alpha\n*\n\nbeta\n1.", "- alpha\n  - beta\n    - gamma\n      - delta", "- alpha\n - beta\n  - gamma\n   - delta", "10) alpha\n    - beta", "- - alpha", "1. - 2. alpha",
        "- # Alpha\n- Beta\n  ---\n  gamma", "- alpha\n- beta\n+ gamma", "1. alpha\n2. beta\n3) gamma", "Alpha\n- beta\n- gamma", "The number is\n14.  alpha", "- alpha\n\n- beta\n\n\n- gamma",
        "- alpha\n- beta\n\n<!-- -->\n\n- gamma", "- a\n - b\n  - c\n   - d\n    - e", "* a\n*\n\n* c", "- a\n- ```\n  b\n\n\n  ```\n- c", "* a\n  > b\n  >\n* c", "1. ```\n   alpha\n   ```\n\n   beta",
        "- [ ] alpha\n- [x] beta\n- [X] gamma\n- [y] delta", "1. alpha\n\n   - beta\n\n     gamma\n2. delta", "- alpha\n\n  [beta]: /url\n- gamma",
    ),
    "code spans": (
        "`alpha`", "`` alpha ` beta ``", "` `` `", "`  ``  `", "` a`", "`\u00a0b\u00a0`", "``\nalpha\nbeta  \ngamma\n``", "`alpha   beta \ngamma`", "`alpha\\`beta`", "*alpha`*`", "[not a `link](/alpha`)",
        "`<a href=\"`\">`", "`<https://alpha.`beta>`", "```alpha``", "`alpha", "`alpha``beta``",
    ),
    "emphasis": (
        "*alpha beta*", "a * alpha beta*", "a*\"alpha\"*", "*\u00a0a\u00a0*", "alpha*beta*", "5*6*78", "_alpha beta_", "_ alpha beta_", "a_\"alpha\"_", "alpha_beta_", "пристаням_стремятся_", "aa_\"bb\"_cc",
        "_alpha*", "*alpha beta\n*", "*(*alpha)", "*(*alpha*)*", "**alpha beta**", "__ alpha beta__", "alpha__beta__", "__alpha, __beta__, gamma__", "**alpha \"*beta*\" gamma**", "*alpha [beta](/url)*",
        "*alpha\nbeta*", "_alpha __beta__ gamma_", "*alpha**beta**gamma*", "***alpha** beta*", "*alpha **beta***", "alpha***beta***gamma", "alpha******beta*********gamma", "**alpha*", "*alpha**", "***alpha**",
        "**alpha*beta**gamma*", "*alpha _beta* gamma_", "**alpha **beta gamma**", "*[alpha*](/url)", "*a `*`*", "**a<https://alpha.test/?q=**>", "~~alpha~~ ~beta~ ~~~gamma~~~", "2*3*4 and a*b", "snake_case_name",
    ),
    "links": (
        "[link](/uri \"title\")", "[link]()", "[](./target.md)", "[link](/my uri)", "[link](</my uri>)", "[link](foo\nbar)", "[a](<b)c>)", "[link](<foo\\>)", "[link](\\(foo\\))", "[link](foo(and(bar)))",
        "[link](foo(and(bar))", "[link](#fragment)\n\n[link](https://example.test?foo=3#frag)", "[link](foo\\bar)", "[link](\"title\")", "[link](/url \"title \"and\" title\")", "[link](   /uri\n  \"title\"  )",
        "[link] (/uri)", "[link [foo [bar]]](/uri)", "[link] bar](/uri)", "[link *foo **bar** `#`*](/uri)", "[![moon](moon.jpg)](/uri)", "[foo [bar](/uri)](/uri)", "[foo *bar](baz*)", "[foo`](/uri)`", "[foo][bar]\n\n[bar]: /url",
        "[foo][]\n\n[foo]: /url \"title\"", "[foo] \n[]\n\n[foo]: /url", "[[bar [foo]\n\n[foo]: /url", "[foo](not a link)\n\n[foo]: /url1", "[foo]()\n\n[foo]: /url1", "[foo][bar][baz]\n\n[baz]: /url", "[x](javascript:alert(1))",
    ),
    "images": (
        "![alpha](/url \"title\")", "![alpha *beta*](train.jpg)", "![alpha ![beta](/url)](/url2)", "![alpha][]\n\n[alpha]: /url", "![](/url)", "!\\[alpha]", "\\![alpha](/url)", "![[alpha]]\n\n[[alpha]]: /url2", "My ![alpha](</path/to it.jpg>) here",
    ),
    "autolinks": (
        "<https://alpha.beta.gamma>", "<https://alpha.test/?q=1&x=%22>", "<MAILTO:ALPHA@BETA.TEST>", "<a+b+c:d>", "<https://../>", "<https://alpha.beta/gamma delta>", "<alpha@beta.example.com>", "<>", "< https://alpha.beta >",
        "https://alpha.example and www.beta.example", "(https://alpha.example/x_(y)).", "https://alpha.example/a_b_c*d*", "ftp://alpha.beta", "alpha@beta.test",
    ),
    "line breaks": ("alpha  \nbeta", "alpha\\\nbeta", "alpha       \n     beta", "*alpha  \nbeta*", "`code  \nspan`", "alpha\\", "### alpha\\", "### alpha  ", "alpha \n beta", "alpha\r\nbeta\rgamma"),
    "text": ("hello $.;'there", "Alpha χρῆν", "Multiple     spaces", "日本語と**太字**の文章", "👩‍👩‍👧 family 🇩🇪 flag é e\u0301", "שלום alpha مرحبا", "[ ] ( ) { } < > | ~ ^", "a\u2028b\u0085c"),
    "tables": (
        "| alpha | beta |\n| --- | --- |\n| gamma | delta |", "| abc | defghi |\n:-: | -----------:\nalpha | beta", "| f\\|oo |\n| ------ |\n| b `\\|` az |\n| b **\\|** im |", "| alpha | beta |\n| --- | --- |\n| gamma | delta |\n> quote",
        "| alpha | beta |\n| --- | --- |\n| gamma | delta |\nepsilon\n\nzeta", "| alpha | beta |\n| --- |\n| gamma |", "| alpha | beta |\n| --- | --- |\n| gamma |\n| delta | epsilon | zeta |", "| alpha | beta |\n| --- | --- |",
        "- | alpha | beta |\n  |---|---|\n  | gamma | delta |", "| |\n|---|\n| |", "a | b\n-|-\n", "| alpha |\n|---|\n| *be\n| ta* |",
    ),
    "formulas": (
        "$$\nx_1\n$$", "\\[ \\alpha \\]", "\\(\\beta\\) and $\\gamma$", "$$\n\\alpha", "\\[\n\\frac{a}{b}\n\n\\]", "- $$\n  x\n  $$", "> \\[\n> x\n> \\]", "alpha $$ beta $$ gamma", "$5 and $6", "$$ alpha $$ tail", "\\(\n\\)", "$alpha$$beta$",
    ),
    "footnotes": (
        "alpha[^1]\n\n[^1]: beta", "alpha[^note] and[^1]\n\n[^note]: beta\n\n    gamma\n\n        delta\n[^1]:\n    epsilon", "[^1]: alpha\nlazy\n\nbeta", "[^]: alpha\n\n[^a b]: beta", "[^1]:", "- [^1]: alpha\n- beta", "> [^1]: alpha\n> beta",
        "alpha [^1](/url) [^2]\n", "regex [^abc] and [^\\d]", "# alpha[^1]\n[^1]: - beta\n    - gamma\n",
    ),
}  # fmt: skip
