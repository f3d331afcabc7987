"""What the evidence about a recording tells whoever opens it, in English and in Chinese."""

HOWTO = """\
EVIDENCE ABOUT A TELEPHONE RECORDING
====================================

What is in it
audio/             the recording as it was received, byte for byte; if it is not there, copies.json says why
metadata.json      what is recorded about it: call, policies, length, format, SHA-256; numbers may be masked; "holds_ms"
                   is when the customer was on hold, in ms of the recording, as declared when it was received
retention.json     how long it is kept and why, by which contracts and articles, and each change of it
holds.json         who held it, why, and who released it
events.json        everything that happened to it since it was received
accesses.csv       who listened to it, for which purpose, when and from where
copies.json        where its copies lie, how they are locked, and what was found of each when this file was made
incidents.json     incidents about it and about its call
certificate.json   only if it was disposed of: who decided, by which rule, what became of each copy
ledger.json        entries of the ledger about these records, each with its proof, and checkpoint.txt, which is signed
SHA256SUMS         the SHA-256 of every file here

How to check, with tools that do not come from us
1. The files are whole:            sha256sum -c SHA256SUMS
   (macOS: shasum -a 256 -c SHA256SUMS; Windows: certutil -hashfile FILE SHA256, and compare)
2. The audio is the one received:  its line in SHA256SUMS, and "sha256" in metadata.json, are the same digest. It was
   taken when the recording was received, and is in the ledger since.
3. The audio is as long as said:   ffprobe FILE   or   soxi FILE   or any player. Compare with "duration_ms".
4. Nothing was changed since:      ask for the ledger's bundle of the entries named in ledger.json, and run
                                       python verify.py BUNDLE.zip --key "KEY YOU WERE GIVEN EARLIER"
   with verify.py from the published project. It needs Python 3.11 and nothing else. In ledger.json, "leaf" of an entry
   is SHA-256(0x00 || line), and "path" leads from it to the root in checkpoint.txt (RFC 9162, 2.1.3).


电话录音证据包
==============

内容
audio/             收到时的原始录音,逐字节未改;如不在包内,原因见 copies.json
metadata.json      登记信息:通话、保单、时长、格式、SHA-256;号码可能已脱敏;
                   "holds_ms" 为收到录音时申报的客户等待时段(毫秒)
retention.json     保存期限及理由:所依据的合同与条款,以及每次变更
holds.json         何人因何事冻结、何人解除
events.json        自收到以来发生的一切
accesses.csv       何人于何时、何地址、为何目的调听
copies.json        各备份的存放位置、锁定状态,以及生成本包时的核验结果
incidents.json     与本录音及其通话有关的事件
certificate.json   仅在已销毁时:决定人、依据、各备份的处置结果
ledger.json        台账中与上述记录有关的条目及其证明;checkpoint.txt 为已签名的台账状态
SHA256SUMS         本包每个文件的 SHA-256

核验方法(均使用第三方工具)
1. 文件完整:        sha256sum -c SHA256SUMS
   (macOS:shasum -a 256 -c SHA256SUMS;Windows:certutil -hashfile 文件 SHA256,再比对)
2. 录音即原件:      SHA256SUMS 中该文件的一行与 metadata.json 的 "sha256" 相同。该摘要在收到录音时计算,并已写入台账。
3. 时长属实:        ffprobe 文件 或 soxi 文件 或任何播放器,与 "duration_ms" 比对。
4. 此后未被改动:    索取 ledger.json 所列条目的台账证据包,并运行
                        python verify.py BUNDLE.zip --key "您此前取得的公钥"
   verify.py 取自项目的公开发布处,只需 Python 3.11。ledger.json 中,条目的 "leaf" 为 SHA-256(0x00 || line),
   "path" 由此通向 checkpoint.txt 中的根(RFC 9162,2.1.3)。
"""
