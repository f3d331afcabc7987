"""Version 1 of the scorecard, with which the product comes; officers add later versions, and nothing here ever changes.

Articles are cited where the Measures have the words. Item (2) of art. 29 is missing in the text that is at hand, so
that what the product is and covers is asked by a rule of the company.
"""

from datetime import date

from qa_sampling.scorecard import Item

EFFECTIVE_FROM = date(2013, 1, 1)
"""As long as the Measures; the text names no day."""

NAME = "电话销售成交件质检评分表"
PASS_BP = 8_000
REASON = "随系统提供的第一版:按《人身保险电话销售业务管理办法》逐项质检,自营中心与代理机构同一标准(第三十四条)。"

ITEMS = (
    Item("identity_told", "告知销售人员工号及所属保险公司或代理机构名称。", "29(1)", fatal=False, weight=10),
    Item("agency_nature_told", "代理机构销售的,明确告知保险代理性质。", "29", fatal=False, weight=10),
    Item(
        "product_named",
        "明确说明所售为保险产品及其名称,未称作存款、理财、赠品或其他产品。",
        "company:product-named",
        fatal=True,
        weight=10,
    ),
    Item(
        "cover_told",
        "如实说明保险责任、责任免除、保险费、保险期限及缴费期限。",
        "company:cover-told",
        fatal=False,
        weight=10,
    ),
    Item(
        "contract_told",
        "告知缴费方式、保单生效时间、投保意愿确认方式、保单形式、保单送达方式。",
        "29(3)",
        fatal=False,
        weight=10,
    ),
    Item("cooling_off_told", "告知犹豫期及犹豫期内解除合同的权利。", "29(4)", fatal=True, weight=10),
    Item("service_told", "告知客户服务电话及保单查询方式。", "29(4)", fatal=False, weight=5),
    Item(
        "consent_given",
        "以电话录音确认投保的,询问“您是否同意通过电话录音确认投保”,并取得投保人本人的肯定答复。",
        "30(3)",
        fatal=True,
        weight=10,
    ),
    Item(
        "payment_authorised",
        "以电话录音确认转账授权的,客户明确表示同意通过其名下账户支付保险费。",
        "31(1)",
        fatal=True,
        weight=10,
    ),
    Item("payment_times_told", "明确告知首期保费支付时间及续期保费支付时间、频率。", "31(2)", fatal=False, weight=5),
    Item(
        "no_misstatement",
        "正确使用统一制定的销售用语,无不当阐述:未承诺或夸大收益,未与存款或其他产品作不当比较,未隐瞒责任免除。",
        "28",
        fatal=True,
        weight=10,
    ),
    Item(
        "refusal_respected",
        "客户明确拒绝再次接受电话销售的,停止推销并录入禁止拨打名单。",
        "25(2)",
        fatal=True,
        weight=10,
    ),
    Item("number_shown", "使用统一的专用号码呼出,未使用其他号码。", "20", fatal=False, weight=5),
    Item("customer_data_proper", "客户信息的来源和使用合法、规范,通话中未泄露他人信息。", "24", fatal=False, weight=5),
)
"""Fatal is what misleads or wrongs the customer, whatever else was done well."""
