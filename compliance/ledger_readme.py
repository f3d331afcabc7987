"""What a bundle of the ledger tells whoever opens it, in English and in Chinese."""

README = """\
A BUNDLE OF THE COMPLIANCE LEDGER
=================================

Each change of a record was written down when it was made, numbered, and sealed with a signature under which nobody,
the company included, can change anything later without it being found. This file lets you check that by yourself.

How to check
1. You need Python 3.11 or newer, and nothing else. Take verify.py from this bundle or, better, from the project that
   published it: a bundle could bring a verifier that lies.
2. Run:      python verify.py BUNDLE.zip
   With the public key that you were given at an earlier time:
             python verify.py BUNDLE.zip --key "telesales-ledger/...+...+..."
   Without --key the bundle names its own key; compare what is printed with what you were given.
3. Exit status 0 and the word OK: every record in the bundle is as the ledger says. Else each problem is listed with
   the number of the entry, the table and the key of the record.
4. If the company has its ledger watched by a witness or stamped with the time by an authority, ask these, and not the
   company, for their key or certificates. A cosignature shows that the witness saw this one history and no other; a
   time stamp shows that the state of the ledger existed at that time:
             python verify.py BUNDLE.zip --witness "witness.example+...+..."
             python verify.py BUNDLE.zip --stamps DIR
             openssl ts -verify -data DIR/checkpoint-N.txt -in DIR/checkpoint-N.1.tsr -CAfile ROOTS.pem
Python alone cannot check Ed25519 signatures. Where the package "cryptography" is not installed, the report says so:
install it (pip install cryptography), or check checkpoint.txt with any tool for C2SP signed notes.

What is in it
manifest.json      which entries, under which keys, which columns of which tables are covered
checkpoint.txt     the newest signed state of the whole ledger
checkpoints.jsonl  earlier ones, each with the proof that the ledger was only ever added to
attestations.jsonl what witnesses and time-stamping authorities said of checkpoints, if any
entries.jsonl      the entries: what was changed when, with a digest of each record
leaves.bin         the beginnings of the hashes of the entries, by which a changed one is named
rows.jsonl         the records as they are now; they may hold personal data, keep them accordingly
verify.py          the program that checks all this

What it cannot show: records that changed after the newest checkpoint (counted as "not sealed yet"), and, when only a
part of the ledger was exported, records that no entry of this part speaks of.


合规台账证据包
==============

每条记录的每次变更,都在发生时写入台账、编号并以数字签名封存。此后任何人(包括公司自己)改动任何内容,都会被发现。
您可以用本文件自行核验,无须信任公司。

核验方法
1. 只需 Python 3.11 或更高版本。verify.py 可取自本包,但最好取自项目的公开发布处:伪造的包也可以附带说谎的程序。
2. 运行:     python verify.py BUNDLE.zip
   如您此前已取得公钥:
             python verify.py BUNDLE.zip --key "telesales-ledger/...+...+..."
   不加 --key 时使用包内自带的公钥;请将打印出的公钥与您手中的公钥核对。
3. 退出状态为 0 并显示 OK:包内每条记录都与台账一致。否则逐条列出问题,并指明条目编号、数据表和记录主键。
4. 如公司的台账有第三方见证人或时间戳机构,请向他们(而不是向公司)索取公钥或根证书。见证签名证明见证人只见过这一份
   历史;时间戳证明该状态在当时已经存在:
             python verify.py BUNDLE.zip --witness "witness.example+...+..."
             python verify.py BUNDLE.zip --stamps DIR
             openssl ts -verify -data DIR/checkpoint-N.txt -in DIR/checkpoint-N.1.tsr -CAfile ROOTS.pem
Python 本身不能核验 Ed25519 签名。未安装 cryptography 时,报告会写明"未核验"(NOT CHECKED):
请安装该库(pip install cryptography),或用任何支持 C2SP signed note 的工具核验 checkpoint.txt。

内容
manifest.json      条目范围、公钥、受保护的数据表与字段
checkpoint.txt     整个台账最新的签名状态
checkpoints.jsonl  较早的签名状态,各附"只增不改"的证明
attestations.jsonl 见证人和时间戳机构对签名状态的证明(如有)
entries.jsonl      条目:何时变更了什么,以及每条记录的摘要
leaves.bin         各条目哈希值的开头,用于指明哪一条被改动
rows.jsonl         记录的现状;可能含个人信息,请妥善保管
verify.py          核验程序

本包不能证明:最新签名之后才变更的记录(计为 "not sealed yet",尚未封存);只导出部分台账时,该部分条目未涉及的记录。
"""
