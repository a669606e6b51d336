/*
 * host/events.h - the MESSAGE_ID of everything an operator may want to know of or search for.
 *
 * One line an event, made once with `systemd-id128 new` and never changed or used again.
 * systemd/chwsyncd.catalog has a paragraph for each; a test compares the two.
 */
#pragma once

/* clang-format off */
#define MESSAGE_STARTED           "da2a15a24cd6405dac2d4989c79b23e0" /* the daemon works */
#define MESSAGE_STOPPING          "e2eb4074fede410f832e9a4385eccf24" /* SIGTERM came */
#define MESSAGE_STOPPED           "67f7e0efee2349bd898164f9176be258" /* it has ended well */
#define MESSAGE_STOPPED_LATE      "c3adb6223033451eb04b125e229f248d" /* the drain took too long */
#define MESSAGE_START_FAILED      "dfd2cd6f066942d3953f9325ac50053f" /* the process cannot begin */
#define MESSAGE_GAVE_UP           "d38d1a05056640eaa75fc5003fcaac17" /* a fault of the machine in the loop */
#define MESSAGE_RELOADED          "e19b3a4eecbc46b3af5c2a3e0e7a6f0e" /* SIGHUP, and the file was right */
#define MESSAGE_RELOAD_REFUSED    "cfa205b695c644c0b9326746310f6b6d" /* SIGHUP, and the file was wrong */
#define MESSAGE_DATABASE_AWAY     "4927d42141074066b40c0b3e81b2c8d6" /* no connection, or it broke */
#define MESSAGE_DATABASE_BACK     "0f4f2623ebcb41af86b02da9e1bde7a6" /* the connection is there again */
#define MESSAGE_LEDGER_MISSING    "4a10e1d06351418f95dd1cd65054fd20" /* schema chwsync is not there, or older */
#define MESSAGE_LEDGER_NEWER      "93e31df041a34005b611b7ef0494d091" /* a newer chwsyncd upgraded it */
#define MESSAGE_LEDGER_FAILED     "5107b7030ad7433287b7671e7c3b1936" /* a statement on schema chwsync was refused */
#define MESSAGE_LEDGER_WELL       "1cff69b9d7e049ca9af5fc544ce4dbd3" /* statements work again */
#define MESSAGE_CONTRACT_FAULT    "a44d367656cc4db4bfeabb9a721091f6" /* view or function is not as agreed */
#define MESSAGE_CONTRACT_WELL     "d2b4a9ed7b314080aefae199d2b60388" /* the faults are gone */
#define MESSAGE_INTAKE_FAILED     "9b5c0f7fe8974e208f75504881c20d78" /* the view cannot be read */
#define MESSAGE_INTAKE_WELL       "8695a73466e74e6b8be10bf686dcbd9b" /* the view can be read again */
#define MESSAGE_VIEW_SLOW         "45dadad040124c0f9e6b8861df33bcad" /* reading the view takes long */
#define MESSAGE_LINE_PARKED       "890f994d1d2c4cc8b75543b1cfc2fab4" /* one row, or some, cannot be taken */
#define MESSAGE_LINES_WELL        "554a13ce9f094903ab3fdd480593c738" /* no line is parked any more */
#define MESSAGE_CLAIM_FAILED      "85ae33ec0d144d2ebc69edb892adbd2f" /* the veto raised for one order */
#define MESSAGE_CLAIMS_RETURNED   "7fd7a2ef019448998a6d33fe75a42af8" /* claimed and never sent */
#define MESSAGE_WRITE_BACK_FAILED "07365e63a37a4d068d8917619d21f7c4" /* the shop's function raised, or was busy */
#define MESSAGE_WRITE_BACK_WELL   "768bcb8c6d984a02bdbe9b01789ac627" /* the function works again */
#define MESSAGE_ORDER_BOUGHT      "7b0c61930617438f8fdab231dc2b4464" /* accepted by the provider */
#define MESSAGE_ORDER_ENDED       "d72e2f97592e489a943b1029ad43dfbd" /* the provider's status is final */
#define MESSAGE_ORDER_REJECTED    "62da2f1e92ed4f58a8501d4372aa54a7" /* refused for a lasting reason */
#define MESSAGE_ORDER_WITHDRAWN   "f2af4338c74f400b970ac6eb980d138a" /* the shop's veto */
#define MESSAGE_ORDER_UNCERTAIN   "f203d8541a9f4477b36d2324a3b89189" /* sent, and the answer is lost */
#define MESSAGE_BOUGHT_TWICE      "47fdb51cffe34b20a68494b0e226df31" /* a late answer of an earlier attempt */
#define MESSAGE_ORDER_NOT_FOUND   "84824a26e99742e1960d0f5f1fac79da" /* the provider does not know an id */
#define MESSAGE_STATUS_WORD       "c733eff4c96a4b39be8c49cd0f05721c" /* a status that is not in the list */
#define MESSAGE_PROVIDER_REFUSES  "00de54ae18ce4f7b8e388916bdeb6be2" /* key, account or address */
#define MESSAGE_PROVIDER_ANSWERS  "693a5228af9f4118bd96c23cdc084b5e" /* it works again */
#define MESSAGE_PROVIDER_SILENT   "30aaaa9985eb4db5beab3805346a41ce" /* time-out, broken connection, no API reply */
#define MESSAGE_OUT_OF_FUNDS      "7ef1bdb4f4b444eb927bccc62aece552" /* insufficient balance */
#define MESSAGE_FUNDS_BACK        "152c05c9f981463e9bd7f38115e1ce14" /* an order was accepted again */
#define MESSAGE_BALANCE_LOW       "957b2498e245416fb4c58ca85c6f768c" /* it fell below low_balance */
#define MESSAGE_BALANCE_WELL      "6f299b42b2794b95a80dc01576fd63d2" /* it is above again */
#define MESSAGE_BALANCE_NOT_TOLD  "702555356b76447990b7f13a94720f7c" /* an answer without an amount */
#define MESSAGE_CURRENCY_CHANGED  "75d3d6775af447f49cacdbc45d94f17f" /* the balance is told in another currency */
#define MESSAGE_ORDERS_WAIT       "90ee0b82e6c3429db53301fa76a4badc" /* answers to orders are lost, or nobody is there */
#define MESSAGE_ORDERS_GO_ON      "076d3808469e4cb19d8c6939fa97f480" /* an order was answered again */
#define MESSAGE_ORDER_SETTLED     "eaf7659d07de46a1a9623287202c0046" /* an uncertain order was found at the provider */
#define MESSAGE_ORDER_DISPROVED   "019758304bd949a9b6dfdd8acca3a6da" /* what was found is another order's */
#define MESSAGE_RATE_LIMITED      "181ec0ad187b46788d37bcaec5bb664d" /* retry_after, HTTP 429 */
#define MESSAGE_BATCH_REFUSED     "2bfd35c6c3da48a6a36fdca0eea608d6" /* a status request for many orders */
#define MESSAGE_NO_JOURNAL        "a070a5c0f47b4c67b3816a6fd14ff7ca" /* the flight journal cannot be written */
#define MESSAGE_JOURNAL_WELL      "e2ebb18055384f2f85c521abd5736617" /* it can be written again */
#define MESSAGE_LEDGER_OLDER      "790444492a7f49a4817ecaadddb86690" /* attempts that only the journal knows */
#define MESSAGE_SUBMITS_RELEASED  "7665204d03a24b629516517cee2ef048" /* every lost attempt was released */
#define MESSAGE_JOURNAL_SETTLED   "0fb120f46fde4514b632c4dcefa0bca5" /* an attempt's end was found in a flight journal */
#define MESSAGE_JOURNAL_PROVES_LESS "ffa76683e6d045bca7f5a3dacb3c9cc2" /* a journal is torn, or of an earlier boot */
#define MESSAGE_TAKE_OVER         "dccb875a23cb403ea06a5ee39af413e9" /* this instance works for an account now */
#define MESSAGE_STANDS_BY         "8974ed178b87481d91669a531c2c1b05" /* another instance holds the lease */
#define MESSAGE_LEASE_FAILED      "03a7d86201bd443ea4b9c36ce705fe4e" /* the lease cannot be taken */
#define MESSAGE_DATABASE_CHANGED  "798ecde6d3ec44c88475581942906167" /* another server, or one that lost commits */
#define MESSAGE_CLOCK_SET         "6997235fd2b04b909a0c712912e5061f" /* the database's clock was set */
#define MESSAGE_PRICES_CHANGED    "e85a96f370584f24a7dfccf4144a215d" /* a provider's services have other prices */
#define MESSAGE_SERVICES_GONE     "7e31091b61bc43639451ab05278767c1" /* services are no longer listed */
#define MESSAGE_CATALOGUE_UNREADABLE "bff9a2f48a69488784674369d41c0577" /* no catalogue, or one that is not believed */
#define MESSAGE_CATALOGUE_READ    "4a4d74935fc24838991678700c1050b3" /* it can be read again */
#define MESSAGE_ORDER_HELD        "f69b06fd6b124331824d7c59d8ba90a8" /* queued for a reason that can pass */
#define MESSAGE_SPENDING_STOPPED  "462709e4276b42db94aa357c542b6ef3" /* max_charge_per_order or max_spend_per_day */
#define MESSAGE_CHARGE_DIFFERS    "eb45c970f557497380230d766e52c40f" /* the provider charged another amount than its catalogue says */
#define MESSAGE_ACCOUNT_DOUBTED   "53f9b17ea11d47628483d49c39bdbc1f" /* key or URL changed: another account? */
#define MESSAGE_ACCOUNT_CONTINUED "9b871541c87e4d549a3e395f9dca00f1" /* the new key leads to the same account */
#define MESSAGE_ACCOUNT_DECIDED   "8b2318c0937640ddb5153f4692a3f589" /* the doubt is over */
#define MESSAGE_NOT_CONFIGURED    "049c50f5abef47dd8a0630d341f18c49" /* order lines for a provider we do not know */
#define MESSAGE_RELOAD_BY_JOURNAL "8547c7d3b9bd46a5a4eafa50823fa25f" /* SIGHUP while the database is away */
#define MESSAGE_REFILL_ACCEPTED   "ed3b451eb5b44564a07c66ed2a844f78" /* the provider took a request for a refill */
#define MESSAGE_REFILL_REFUSED    "23bbb5eccbe24f8ebb8a0ac9a3b93e2b" /* it did not, or it may not be asked */
#define MESSAGE_REFILL_UNCERTAIN  "c87f4b3a610f47eba7b260e9f1b0defe" /* asked for, and the answer is lost */
#define MESSAGE_REFILL_ENDED      "29727c9800e7407eb1edd468d8dd8879" /* completed, rejected or canceled */
#define MESSAGE_REFILL_SILENT     "fae187e228b84ee7be06644517b4c88b" /* the provider does not say how a refill stands */
#define MESSAGE_ORDER_CHANGED     "78c5fedd809c4144ad637d7096d512c5" /* an order that had ended is otherwise now */
/* clang-format on */
